-- What was missed or has expired counts as cancelled.
CREATE TABLE webhook_deliveries_old (
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
INSERT INTO webhook_deliveries_old
SELECT id, delivery_id, webhook_id, tenant_id, event_row,
       CASE WHEN state IN ('missed', 'expired') THEN 'cancelled' ELSE state END,
       MAX(attempt - (state IN ('delivered', 'failed')), 1), is_retry, due_at,
       lease_owner, lease_until, fence, created_at, ended_at, reason
FROM webhook_deliveries;
DROP TABLE webhook_deliveries;
ALTER TABLE webhook_deliveries_old RENAME TO webhook_deliveries;
CREATE INDEX webhook_deliveries_due
ON webhook_deliveries (webhook_id, is_retry, due_at) WHERE state = 'due';
CREATE INDEX webhook_deliveries_leased
ON webhook_deliveries (lease_until) WHERE state = 'leased';
CREATE INDEX webhook_deliveries_ended
ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_row);
