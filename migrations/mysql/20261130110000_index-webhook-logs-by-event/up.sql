-- One webhook's attempts of one event type, newest first, among millions of others.
ALTER TABLE webhook_logs
    ADD INDEX /*M! IF NOT EXISTS */ webhook_logs_by_event (webhook_id, event, created_at, id, response_code);
