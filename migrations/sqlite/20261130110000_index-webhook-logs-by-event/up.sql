-- One webhook's attempts of one event type, newest first, among millions of others.
CREATE INDEX IF NOT EXISTS webhook_logs_by_event
ON webhook_logs (webhook_id, event, created_at, id, response_code);
