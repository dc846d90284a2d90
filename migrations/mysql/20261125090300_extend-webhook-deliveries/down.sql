DROP TABLE IF EXISTS webhook_nodes;
UPDATE webhook_deliveries SET state = 'cancelled' WHERE state IN ('missed', 'expired');
ALTER TABLE webhook_deliveries
    DROP INDEX /*M! IF EXISTS */ webhook_deliveries_in_order,
    DROP INDEX /*M! IF EXISTS */ webhook_deliveries_by_delivery,
    DROP COLUMN /*M! IF EXISTS */ attempts_before,
    DROP COLUMN /*M! IF EXISTS */ expires_at,
    DROP COLUMN /*M! IF EXISTS */ order_key;
