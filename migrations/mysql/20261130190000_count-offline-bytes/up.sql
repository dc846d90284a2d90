-- How large a kept message is, known without reading it; also for what nodes of the version before put.
ALTER TABLE offline_messages
    ADD COLUMN /*M! IF NOT EXISTS */ n_bytes BIGINT GENERATED ALWAYS AS (OCTET_LENGTH(envelope)) STORED;
-- How many bytes are kept for a user.
ALTER TABLE offline_users
    ADD COLUMN /*M! IF NOT EXISTS */ n_bytes BIGINT NOT NULL DEFAULT 0;
UPDATE offline_users u SET n_bytes = (
    SELECT COALESCE(SUM(m.n_bytes), 0) FROM offline_messages m WHERE m.tenant_id = u.tenant_id AND m.user_id = u.user_id
);
