ALTER TABLE webhook_logs
    DROP INDEX /*M! IF EXISTS */ webhook_logs_by_delivery,
    DROP COLUMN /*M! IF EXISTS */ delivery_id,
    DROP COLUMN /*M! IF EXISTS */ dns_ms,
    DROP COLUMN /*M! IF EXISTS */ connect_ms,
    DROP COLUMN /*M! IF EXISTS */ tls_ms,
    DROP COLUMN /*M! IF EXISTS */ first_byte_ms,
    DROP COLUMN /*M! IF EXISTS */ body_ms;
