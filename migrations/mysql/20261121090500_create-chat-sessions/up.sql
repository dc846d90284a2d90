-- Live public chat sessions; the key is unique over all tenants.
CREATE TABLE IF NOT EXISTS chat_sessions (
    session_key VARCHAR(128) NOT NULL PRIMARY KEY,
    tenant_id VARCHAR(36) NOT NULL,
    alias VARCHAR(128) NULL DEFAULT NULL,
    last_active BIGINT NOT NULL,
    INDEX chat_sessions_by_activity (last_active)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
