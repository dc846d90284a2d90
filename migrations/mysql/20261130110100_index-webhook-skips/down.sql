ALTER TABLE webhook_skips
    DROP INDEX /*M! IF EXISTS */ webhook_skips_by_event,
    DROP INDEX /*M! IF EXISTS */ webhook_skips_by_delivery;
