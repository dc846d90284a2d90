//! The settings of `[webhooks]` beside addresses: how fast, how long, and how secrets are kept.

use std::time::Duration;

use super::{Kind, Setting, seconds};

const HOUR_SECS: u64 = 3_600;
const DAY_SECS: u64 = 24 * HOUR_SECS;

pub(crate) const WEBHOOK_PER_WEBHOOK: Setting = Setting {
    env: "WEBHOOK_PER_WEBHOOK",
    key: "webhooks.per_webhook",
    kind: Kind::Number { min: 1, max: 100 },
    default: "10",
    doc: "How many deliveries go to one webhook at once, where its own `max_in_flight` does not say otherwise. Too small \
          delays the deliveries of busy tenants; too large overruns receivers.",
};

pub(crate) const WEBHOOK_MAX_PER_TENANT: Setting = Setting {
    env: "WEBHOOK_MAX_PER_TENANT",
    key: "webhooks.max_per_tenant",
    kind: Kind::Number { min: 1, max: 100_000 },
    default: "1000",
    doc: "How many webhooks a tenant may have, those that are switched off included. Creating more is refused; of rows \
          inserted by hand the newest beyond it are not in force, which the log says once. Each event is a delivery to \
          every webhook that wants it, so a tenant with very many makes much of little.",
};

pub(crate) const WEBHOOK_TENANT_RATE_LIMIT: Setting = Setting {
    env: "WEBHOOK_TENANT_RATE_LIMIT",
    key: "webhooks.tenant_rate_limit",
    kind: Kind::Number { min: 0, max: 1_000_000 },
    default: "0",
    doc: "How many attempts of one tenant's deliveries this node starts per second; 0 is no limit. What is over it waits, \
          and uses up no retries.",
};

pub(crate) const WEBHOOK_EXPIRY: Setting = Setting {
    env: "WEBHOOK_EXPIRY",
    key: "webhooks.expiry",
    kind: Kind::List,
    default: "queue.stats=30s,queue.stats.updated=30s",
    doc: "How long after its acceptance an event is worth sending, by event type or pattern, e.g. \
          `queue.*=30s,chat.typing=10s`: up to `7d` in whole seconds, `0s` for ever. Of several that match the most exact \
          one counts; a webhook's own `expiry` wins. What was given replaces the default as a whole. Without it receivers \
          that come back after an outage are flooded with figures that are worth nothing any more.",
};

pub(crate) const WEBHOOK_DISABLE_AFTER: Setting = Setting {
    env: "WEBHOOK_DISABLE_AFTER",
    key: "webhooks.disable_after",
    kind: seconds(0, 365 * DAY_SECS),
    default: "5d",
    doc: "A webhook whose receiver has only failed for this long, in at least 10 attempts, is switched off; `0s` is never. \
          What it misses from then on is kept and can be delivered later. Too small, and a weekend's outage needs \
          somebody's hand afterwards; a receiver that answers 410 is switched off at once in any case.",
};

pub(crate) const WEBHOOK_RETENTION: Setting = Setting {
    env: "WEBHOOK_RETENTION",
    key: "webhooks.retention",
    kind: Kind::Duration { min: Duration::from_secs(HOUR_SECS), max: Duration::from_secs(3_650 * DAY_SECS) },
    default: "30d",
    doc: "How long log rows, skipped events and ended deliveries are kept: so far back reach logs and statistics, and so \
          far back can be sent again. Too large, and the database grows.",
};

pub(crate) const WEBHOOK_SECRET_KEY: Setting = Setting {
    env: "WEBHOOK_SECRET_KEY",
    key: "webhooks.secret_key",
    kind: Kind::Secret,
    default: "",
    doc: "Keys with which webhook secrets and custom header values are sealed in the database: 32 random bytes each, in \
          base64 or hex (`openssl rand -hex 32`), separated by commas. The first one seals, all of them open, so that a \
          key is replaced by putting the new one in front. Without it secrets stand in the database as they are. A key \
          that is lost cannot be made up for: every sealed secret must be set anew.",
};
