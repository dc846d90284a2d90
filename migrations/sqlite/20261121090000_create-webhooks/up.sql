-- What every tenant registered. Operators insert rows by hand, so every column but the first four has
-- a default. Times are UTC text, 'YYYY-MM-DD HH:MM:SS.SSS', so that they compare with datetime('now').
CREATE TABLE IF NOT EXISTS webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    tenant_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    url VARCHAR(500) NOT NULL,
    events TEXT NOT NULL,
    secret VARCHAR(255) NULL,
    is_active BOOLEAN DEFAULT TRUE,
    retry_count INT DEFAULT 3,
    timeout INT DEFAULT 30,
    last_triggered_at TIMESTAMP NULL,
    created_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    updated_at TIMESTAMP NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    deleted_at TIMESTAMP NULL
);
CREATE INDEX IF NOT EXISTS webhooks_by_tenant ON webhooks (tenant_id);

-- One number that rises with every change that concerns deliveries, whoever made it: a server that
-- remembers it knows whether to read the table again.
CREATE TABLE IF NOT EXISTS webhook_revision (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    revision BIGINT NOT NULL
);
INSERT OR IGNORE INTO webhook_revision (id, revision) VALUES (1, 0);

CREATE TRIGGER IF NOT EXISTS webhooks_inserted AFTER INSERT ON webhooks BEGIN
    UPDATE webhook_revision SET revision = revision + 1;
END;
CREATE TRIGGER IF NOT EXISTS webhooks_deleted AFTER DELETE ON webhooks BEGIN
    UPDATE webhook_revision SET revision = revision + 1;
END;
-- last_triggered_at is left out on purpose: it changes with every delivery and concerns nobody.
CREATE TRIGGER IF NOT EXISTS webhooks_updated
AFTER UPDATE OF id, tenant_id, name, url, events, secret, is_active, retry_count, timeout, deleted_at ON webhooks BEGIN
    UPDATE webhook_revision SET revision = revision + 1;
    UPDATE webhooks SET updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE id = NEW.id AND NEW.updated_at IS OLD.updated_at;
END;
