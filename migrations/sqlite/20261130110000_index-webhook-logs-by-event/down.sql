DROP INDEX IF EXISTS webhook_logs_by_event;
