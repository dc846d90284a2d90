-- Secrets that rotate and may be sealed, settings beyond the first ones (one JSON object), and how the
-- receiver has been doing.
ALTER TABLE webhooks ADD COLUMN previous_secret VARCHAR(255) NULL;
ALTER TABLE webhooks ADD COLUMN previous_secret_until TIMESTAMP NULL;
ALTER TABLE webhooks ADD COLUMN secret_sealed TEXT NULL;
ALTER TABLE webhooks ADD COLUMN previous_secret_sealed TEXT NULL;
ALTER TABLE webhooks ADD COLUMN options TEXT NULL;
ALTER TABLE webhooks ADD COLUMN failing_since TIMESTAMP NULL;
ALTER TABLE webhooks ADD COLUMN n_failures INT NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN disabled_reason VARCHAR(32) NULL;
ALTER TABLE webhooks ADD COLUMN disabled_at TIMESTAMP NULL;

-- last_triggered_at and the receiver's health are left out on purpose: they change with deliveries.
DROP TRIGGER IF EXISTS webhooks_updated;
CREATE TRIGGER webhooks_updated
AFTER UPDATE OF id, tenant_id, name, url, events, secret, is_active, retry_count, timeout, deleted_at,
previous_secret, previous_secret_until, secret_sealed, previous_secret_sealed, options ON webhooks BEGIN
    UPDATE webhook_revision SET revision = revision + 1;
    UPDATE webhooks SET updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE id = NEW.id AND NEW.updated_at IS OLD.updated_at;
END;
