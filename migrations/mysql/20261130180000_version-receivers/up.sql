-- Rises when the URL becomes another one and when the webhook is switched on: verdicts about a receiver
-- belong to the version they were made with.
ALTER TABLE webhooks
    ADD COLUMN /*M! IF NOT EXISTS */ receiver_version INT NOT NULL DEFAULT 0;
