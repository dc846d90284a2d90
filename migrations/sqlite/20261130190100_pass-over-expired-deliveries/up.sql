-- With what tells whether a delivery is too late, so that a lease passes over those without looking at the rows.
DROP INDEX IF EXISTS webhook_deliveries_due;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, is_retry, due_at, id, expires_at)
WHERE state = 'due';
