DROP INDEX IF EXISTS webhook_skips_by_event;
DROP INDEX IF EXISTS webhook_skips_by_delivery;
