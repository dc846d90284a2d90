-- Event ids chosen by publishers, remembered for 24 h to tell a repetition from a conflict.
CREATE TABLE IF NOT EXISTS event_ids (
    tenant_id VARCHAR(36) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    fingerprint BLOB NOT NULL,
    accepted_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_ids_by_time ON event_ids (accepted_at);
