DROP INDEX IF EXISTS webhook_logs_by_delivery;
ALTER TABLE webhook_logs DROP COLUMN delivery_id;
ALTER TABLE webhook_logs DROP COLUMN dns_ms;
ALTER TABLE webhook_logs DROP COLUMN connect_ms;
ALTER TABLE webhook_logs DROP COLUMN tls_ms;
ALTER TABLE webhook_logs DROP COLUMN first_byte_ms;
ALTER TABLE webhook_logs DROP COLUMN body_ms;
