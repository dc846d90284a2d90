-- With what tells whether a delivery is too late, so that a lease passes over those without looking at the rows.
ALTER TABLE webhook_deliveries
    DROP INDEX /*M! IF EXISTS */ webhook_deliveries_due,
    ADD INDEX webhook_deliveries_due (state, webhook_id, is_retry, due_at, id, expires_at);
