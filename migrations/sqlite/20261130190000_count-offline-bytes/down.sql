ALTER TABLE offline_users DROP COLUMN n_bytes;
