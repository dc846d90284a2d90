DROP TABLE IF EXISTS webhook_logs;
