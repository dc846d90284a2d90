-- Which delivery an attempt belonged to, and how its time was spent.
ALTER TABLE webhook_logs ADD COLUMN delivery_id VARCHAR(64) NULL;
ALTER TABLE webhook_logs ADD COLUMN dns_ms INT NULL;
ALTER TABLE webhook_logs ADD COLUMN connect_ms INT NULL;
ALTER TABLE webhook_logs ADD COLUMN tls_ms INT NULL;
ALTER TABLE webhook_logs ADD COLUMN first_byte_ms INT NULL;
ALTER TABLE webhook_logs ADD COLUMN body_ms INT NULL;
CREATE INDEX webhook_logs_by_delivery ON webhook_logs (delivery_id) WHERE delivery_id IS NOT NULL;
