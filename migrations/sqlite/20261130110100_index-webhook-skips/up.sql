-- What was not sent to one webhook, of one event type or of one delivery.
CREATE INDEX IF NOT EXISTS webhook_skips_by_event ON webhook_skips (webhook_id, event, created_at);
CREATE INDEX IF NOT EXISTS webhook_skips_by_delivery ON webhook_skips (delivery_id) WHERE delivery_id IS NOT NULL;
