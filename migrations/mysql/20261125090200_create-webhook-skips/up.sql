-- What was not sent, and why. Apart from webhook_logs, whose reports count attempts.
CREATE TABLE IF NOT EXISTS webhook_skips (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    webhook_id BIGINT NOT NULL,
    delivery_id VARCHAR(64) NULL DEFAULT NULL,
    event VARCHAR(100) NULL DEFAULT NULL,
    reason VARCHAR(32) NOT NULL,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    INDEX webhook_skips_by_webhook (webhook_id, created_at),
    INDEX webhook_skips_by_time (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
