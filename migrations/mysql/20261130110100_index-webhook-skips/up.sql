-- What was not sent to one webhook, of one event type or of one delivery.
ALTER TABLE webhook_skips
    ADD INDEX /*M! IF NOT EXISTS */ webhook_skips_by_event (webhook_id, event, created_at),
    ADD INDEX /*M! IF NOT EXISTS */ webhook_skips_by_delivery (delivery_id);
