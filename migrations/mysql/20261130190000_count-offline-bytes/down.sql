ALTER TABLE offline_users DROP COLUMN /*M! IF EXISTS */ n_bytes;
ALTER TABLE offline_messages DROP COLUMN /*M! IF EXISTS */ n_bytes;
