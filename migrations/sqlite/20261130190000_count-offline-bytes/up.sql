-- How many bytes are kept for a user; counted anew whenever the file is opened.
ALTER TABLE offline_users ADD COLUMN n_bytes BIGINT NOT NULL DEFAULT 0;
