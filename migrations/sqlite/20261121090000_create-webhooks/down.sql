DROP TRIGGER IF EXISTS webhooks_updated;
DROP TRIGGER IF EXISTS webhooks_deleted;
DROP TRIGGER IF EXISTS webhooks_inserted;
DROP TABLE IF EXISTS webhook_revision;
DROP TABLE IF EXISTS webhooks;
