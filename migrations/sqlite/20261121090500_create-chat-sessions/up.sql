-- Live public chat sessions; the key is unique over all tenants.
CREATE TABLE IF NOT EXISTS chat_sessions (
    session_key VARCHAR(128) PRIMARY KEY NOT NULL,
    tenant_id VARCHAR(36) NOT NULL,
    alias VARCHAR(128) NULL,
    last_active BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS chat_sessions_by_activity ON chat_sessions (last_active);
