DROP TRIGGER IF EXISTS webhooks_updated;
ALTER TABLE webhooks DROP COLUMN previous_secret;
ALTER TABLE webhooks DROP COLUMN previous_secret_until;
ALTER TABLE webhooks DROP COLUMN secret_sealed;
ALTER TABLE webhooks DROP COLUMN previous_secret_sealed;
ALTER TABLE webhooks DROP COLUMN options;
ALTER TABLE webhooks DROP COLUMN failing_since;
ALTER TABLE webhooks DROP COLUMN n_failures;
ALTER TABLE webhooks DROP COLUMN disabled_reason;
ALTER TABLE webhooks DROP COLUMN disabled_at;
CREATE TRIGGER webhooks_updated
AFTER UPDATE OF id, tenant_id, name, url, events, secret, is_active, retry_count, timeout, deleted_at ON webhooks BEGIN
    UPDATE webhook_revision SET revision = revision + 1;
    UPDATE webhooks SET updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE id = NEW.id AND NEW.updated_at IS OLD.updated_at;
END;
