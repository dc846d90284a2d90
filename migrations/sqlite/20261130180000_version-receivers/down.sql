ALTER TABLE webhooks DROP COLUMN receiver_version;
