-- One row per attempt: the source of every figure and report. `payload` is the body sent. The first
-- index covers the figures of one webhook and the search for failures without touching the rows; the
-- second serves reports over everything, and retention.
CREATE TABLE IF NOT EXISTS webhook_logs (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    webhook_id BIGINT NOT NULL,
    event VARCHAR(100) NOT NULL,
    payload JSON NOT NULL,
    response_code INT NULL DEFAULT NULL,
    response_body TEXT NULL DEFAULT NULL,
    error TEXT NULL DEFAULT NULL,
    duration_ms INT NULL DEFAULT NULL,
    attempt INT NOT NULL DEFAULT 1,
    created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    INDEX webhook_logs_by_webhook (webhook_id, created_at, id, response_code, duration_ms),
    INDEX webhook_logs_by_time (created_at),
    CONSTRAINT webhook_logs_webhook FOREIGN KEY (webhook_id) REFERENCES webhooks (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
