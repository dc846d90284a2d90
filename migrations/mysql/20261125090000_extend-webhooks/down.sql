ALTER TABLE webhooks
    DROP COLUMN /*M! IF EXISTS */ previous_secret,
    DROP COLUMN /*M! IF EXISTS */ previous_secret_until,
    DROP COLUMN /*M! IF EXISTS */ secret_sealed,
    DROP COLUMN /*M! IF EXISTS */ previous_secret_sealed,
    DROP COLUMN /*M! IF EXISTS */ options,
    DROP COLUMN /*M! IF EXISTS */ failing_since,
    DROP COLUMN /*M! IF EXISTS */ n_failures,
    DROP COLUMN /*M! IF EXISTS */ disabled_reason,
    DROP COLUMN /*M! IF EXISTS */ disabled_at;
