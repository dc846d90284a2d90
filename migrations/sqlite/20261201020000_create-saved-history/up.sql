-- Recent history that a node by itself saved as it ended; empty while one runs.
CREATE TABLE IF NOT EXISTS saved_history (
    tenant_id VARCHAR(36) NOT NULL,
    part BIGINT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (tenant_id, part)
) WITHOUT ROWID;
