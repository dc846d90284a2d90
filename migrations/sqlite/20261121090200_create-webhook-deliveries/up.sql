-- Accepted events that some webhook must hear of, each body once. Times in the tables of this and the
-- later steps are milliseconds since 1970.
CREATE TABLE IF NOT EXISTS webhook_events (
    id INTEGER PRIMARY KEY NOT NULL,
    tenant_id VARCHAR(36) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    body BLOB NOT NULL,
    accepted_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS webhook_events_by_time ON webhook_events (accepted_at);

-- The duty to inform one webhook of one event, from acceptance to its end.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    delivery_id VARCHAR(64) NOT NULL,
    webhook_id BIGINT NOT NULL,
    tenant_id VARCHAR(36) NOT NULL,
    event_row BIGINT NOT NULL REFERENCES webhook_events (id),
    state VARCHAR(10) NOT NULL CHECK (state IN ('due', 'leased', 'delivered', 'failed', 'cancelled')),
    attempt INT NOT NULL DEFAULT 1,
    is_retry BOOLEAN NOT NULL DEFAULT FALSE,
    due_at BIGINT NOT NULL,
    lease_owner VARCHAR(64) NULL,
    lease_until BIGINT NULL,
    fence BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    ended_at BIGINT NULL,
    reason VARCHAR(100) NULL
);
-- Partial indexes: a million ended deliveries cost the lease, the sweep and the backlog nothing.
CREATE INDEX IF NOT EXISTS webhook_deliveries_due
ON webhook_deliveries (webhook_id, is_retry, due_at) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS webhook_deliveries_leased
ON webhook_deliveries (lease_until) WHERE state = 'leased';
CREATE INDEX IF NOT EXISTS webhook_deliveries_ended
ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS webhook_deliveries_by_event ON webhook_deliveries (event_row);
