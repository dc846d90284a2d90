-- Which delivery an attempt belonged to, and how its time was spent.
ALTER TABLE webhook_logs
    ADD COLUMN /*M! IF NOT EXISTS */ delivery_id VARCHAR(64) NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ dns_ms INT NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ connect_ms INT NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ tls_ms INT NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ first_byte_ms INT NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ body_ms INT NULL DEFAULT NULL,
    ADD INDEX /*M! IF NOT EXISTS */ webhook_logs_by_delivery (delivery_id);
