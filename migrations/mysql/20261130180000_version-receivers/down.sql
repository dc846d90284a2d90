ALTER TABLE webhooks
    DROP COLUMN /*M! IF EXISTS */ receiver_version;
