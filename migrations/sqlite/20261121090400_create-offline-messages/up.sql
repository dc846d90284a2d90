-- Events kept for users without any connection; a lower id was put earlier.
CREATE TABLE IF NOT EXISTS offline_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    tenant_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    envelope BLOB NOT NULL,
    accepted_at BIGINT NOT NULL,
    is_claimed BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX IF NOT EXISTS offline_messages_by_event ON offline_messages (tenant_id, user_id, event_id);
CREATE INDEX IF NOT EXISTS offline_messages_in_line ON offline_messages (tenant_id, user_id, is_claimed, id);
CREATE INDEX IF NOT EXISTS offline_messages_by_time ON offline_messages (accepted_at);

-- Per user: how many messages are kept, and how many were dropped since the last claim.
CREATE TABLE IF NOT EXISTS offline_users (
    tenant_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    n_messages BIGINT NOT NULL,
    n_dropped BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, user_id)
) WITHOUT ROWID;
