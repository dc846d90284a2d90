-- What was not sent, and why. Apart from webhook_logs, whose reports count attempts.
CREATE TABLE IF NOT EXISTS webhook_skips (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    webhook_id BIGINT NOT NULL,
    delivery_id VARCHAR(64) NULL,
    event VARCHAR(100) NULL,
    reason VARCHAR(32) NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE INDEX IF NOT EXISTS webhook_skips_by_webhook ON webhook_skips (webhook_id, created_at);
CREATE INDEX IF NOT EXISTS webhook_skips_by_time ON webhook_skips (created_at);
