-- Deliveries that expire, go in order, were missed, or are made again. The table is made anew, because
-- SQLite cannot take back the CHECK on its states. `attempt` is the number of the next attempt from now
-- on, also of ended rows; and `due_at` of an ended row is when its event was accepted, so that the index
-- of what can be requeued is in that order.
CREATE TABLE webhook_deliveries_new (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    delivery_id VARCHAR(64) NOT NULL,
    webhook_id BIGINT NOT NULL,
    tenant_id VARCHAR(36) NOT NULL,
    event_row BIGINT NOT NULL REFERENCES webhook_events (id),
    state VARCHAR(10) NOT NULL,
    attempt INT NOT NULL DEFAULT 1,
    attempts_before INT NOT NULL DEFAULT 0,
    is_retry BOOLEAN NOT NULL DEFAULT FALSE,
    due_at BIGINT NOT NULL,
    expires_at BIGINT NULL,
    order_key VARCHAR(128) NULL,
    lease_owner VARCHAR(64) NULL,
    lease_until BIGINT NULL,
    fence BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    ended_at BIGINT NULL,
    reason VARCHAR(100) NULL
);
INSERT INTO webhook_deliveries_new (
    id, delivery_id, webhook_id, tenant_id, event_row, state, attempt, is_retry, due_at,
    lease_owner, lease_until, fence, created_at, ended_at, reason
)
SELECT id, delivery_id, webhook_id, tenant_id, event_row, state, attempt + (state IN ('delivered', 'failed')),
       is_retry AND ended_at IS NULL, CASE WHEN ended_at IS NULL THEN due_at ELSE created_at END,
       lease_owner, lease_until, fence, created_at, ended_at, reason
FROM webhook_deliveries;
DELETE FROM sqlite_sequence WHERE name = 'webhook_deliveries_new';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'webhook_deliveries_new', seq FROM sqlite_sequence WHERE name = 'webhook_deliveries';
DROP TABLE webhook_deliveries;
ALTER TABLE webhook_deliveries_new RENAME TO webhook_deliveries;

-- Partial indexes: a million ended deliveries cost the lease, the sweep and the backlog nothing.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, is_retry, due_at) WHERE state = 'due';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (lease_until) WHERE state = 'leased';
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (webhook_id, is_retry, due_at) WHERE state = 'failed';
CREATE INDEX webhook_deliveries_missed ON webhook_deliveries (webhook_id, is_retry, due_at) WHERE state = 'missed';
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (webhook_id, order_key, id)
WHERE order_key IS NOT NULL AND state IN ('due', 'leased');
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_row);
CREATE INDEX webhook_deliveries_by_delivery ON webhook_deliveries (delivery_id);
