-- One row per attempt: the source of every figure and report. `payload` is the body sent.
CREATE TABLE IF NOT EXISTS webhook_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    webhook_id BIGINT NOT NULL REFERENCES webhooks (id),
    event VARCHAR(100) NOT NULL,
    payload TEXT NOT NULL,
    response_code INT NULL,
    response_body TEXT NULL,
    error TEXT NULL,
    duration_ms INT NULL,
    attempt INT NOT NULL DEFAULT 1,
    created_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
-- Covers the figures of one webhook and the search for failures without touching the rows.
CREATE INDEX IF NOT EXISTS webhook_logs_by_webhook
ON webhook_logs (webhook_id, created_at, id, response_code, duration_ms);
-- Reports over everything, and retention.
CREATE INDEX IF NOT EXISTS webhook_logs_by_time ON webhook_logs (created_at);
