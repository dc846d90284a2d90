-- Recent history that a node by itself saved as it ended; empty while one runs.
CREATE TABLE IF NOT EXISTS saved_history (
    tenant_id VARCHAR(36) CHARACTER SET utf8mb4 /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */ NOT NULL,
    part BIGINT NOT NULL,
    body LONGBLOB NOT NULL,
    PRIMARY KEY (tenant_id, part)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
