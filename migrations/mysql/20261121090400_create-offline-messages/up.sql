-- Events kept for users without any connection; a lower id was put earlier.
CREATE TABLE IF NOT EXISTS offline_messages (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenant_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    envelope LONGBLOB NOT NULL,
    accepted_at BIGINT NOT NULL,
    is_claimed BOOLEAN NOT NULL DEFAULT FALSE,
    UNIQUE INDEX offline_messages_by_event (tenant_id, user_id, event_id),
    INDEX offline_messages_in_line (tenant_id, user_id, is_claimed, id),
    INDEX offline_messages_by_time (accepted_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Per user: how many messages are kept, how many were dropped since the last claim, and which node
-- brings them at the moment.
CREATE TABLE IF NOT EXISTS offline_users (
    tenant_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(64) NOT NULL,
    n_messages BIGINT NOT NULL,
    n_dropped BIGINT NOT NULL DEFAULT 0,
    held_by VARCHAR(64) NULL DEFAULT NULL,
    held_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, user_id),
    INDEX offline_users_held (held_by)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
