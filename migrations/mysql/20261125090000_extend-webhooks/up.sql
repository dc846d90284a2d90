-- Secrets that rotate and may be sealed, settings beyond the first ones (one JSON object), and how the
-- receiver has been doing. MySQL reads over what stands in /*M! */; there the one statement is done or
-- not done.
ALTER TABLE webhooks
    ADD COLUMN /*M! IF NOT EXISTS */ previous_secret VARCHAR(255) NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ previous_secret_until TIMESTAMP(3) NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ secret_sealed TEXT NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ previous_secret_sealed TEXT NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ options JSON NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ failing_since TIMESTAMP(3) NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ n_failures INT NOT NULL DEFAULT 0,
    ADD COLUMN /*M! IF NOT EXISTS */ disabled_reason VARCHAR(32) NULL DEFAULT NULL,
    ADD COLUMN /*M! IF NOT EXISTS */ disabled_at TIMESTAMP(3) NULL DEFAULT NULL;
