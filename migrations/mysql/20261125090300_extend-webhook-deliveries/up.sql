-- Deliveries that expire, go in order, were missed, or are made again. `attempt` is the number of the
-- next attempt, also of ended rows; and `due_at` of an ended row is when its event was accepted, so that
-- what can be requeued stands in that order in webhook_deliveries_due.
ALTER TABLE webhook_deliveries
    ADD COLUMN /*M! IF NOT EXISTS */ attempts_before INT NOT NULL DEFAULT 0,
    ADD COLUMN /*M! IF NOT EXISTS */ expires_at BIGINT NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ order_key VARCHAR(128) NULL DEFAULT NULL,
    ADD INDEX /*M! IF NOT EXISTS */ webhook_deliveries_in_order (webhook_id, order_key),
    ADD INDEX /*M! IF NOT EXISTS */ webhook_deliveries_by_delivery (delivery_id);

-- When each node was last known to live, by its own clock, in milliseconds since 1970.
CREATE TABLE IF NOT EXISTS webhook_nodes (
    node_id VARCHAR(64) NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
