-- Event ids chosen by publishers, remembered for 24 h to tell a repetition from a conflict.
CREATE TABLE IF NOT EXISTS event_ids (
    tenant_id VARCHAR(36) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    fingerprint BINARY(32) NOT NULL,
    accepted_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, event_id),
    INDEX event_ids_by_time (accepted_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
