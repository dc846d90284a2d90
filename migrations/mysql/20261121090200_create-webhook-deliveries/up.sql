-- Accepted events that some webhook must hear of, each body once. Times in the tables of this and the
-- later steps are milliseconds since 1970. The numbers are made by the nodes.
CREATE TABLE IF NOT EXISTS webhook_events (
    id BIGINT NOT NULL PRIMARY KEY,
    tenant_id VARCHAR(36) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    body LONGBLOB NOT NULL,
    accepted_at BIGINT NOT NULL,
    INDEX webhook_events_by_time (accepted_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The duty to inform one webhook of one event, from acceptance to its end. There are no partial
-- indexes: the first two begin with the state, so that ended rows stand elsewhere in them; in the
-- others, rows without that time stand together at the beginning.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    delivery_id VARCHAR(64) NOT NULL,
    webhook_id BIGINT NOT NULL,
    tenant_id VARCHAR(36) NOT NULL,
    event_row BIGINT NOT NULL,
    state VARCHAR(10) NOT NULL,
    attempt INT NOT NULL DEFAULT 1,
    is_retry BOOLEAN NOT NULL DEFAULT FALSE,
    due_at BIGINT NOT NULL,
    lease_owner VARCHAR(64) NULL DEFAULT NULL,
    lease_until BIGINT NULL DEFAULT NULL,
    fence BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    ended_at BIGINT NULL DEFAULT NULL,
    reason VARCHAR(100) NULL DEFAULT NULL,
    INDEX webhook_deliveries_due (state, webhook_id, is_retry, due_at),
    INDEX webhook_deliveries_next (state, due_at),
    INDEX webhook_deliveries_leased (lease_until),
    INDEX webhook_deliveries_ended (ended_at),
    INDEX webhook_deliveries_by_event (event_row),
    CONSTRAINT webhook_deliveries_event FOREIGN KEY (event_row) REFERENCES webhook_events (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
