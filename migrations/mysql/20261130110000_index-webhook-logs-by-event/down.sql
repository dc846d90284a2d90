ALTER TABLE webhook_logs
    DROP INDEX /*M! IF EXISTS */ webhook_logs_by_event;
