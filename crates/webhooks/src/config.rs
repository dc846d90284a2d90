//! How much is sent at once, how often things are looked at, how long they are kept.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::health::DisableRule;

/// Limits and intervals of everything that leaves the building. [`WebhookConfig::default`] is what
/// the contract promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Deliveries in flight on this node at once; 512 by default, at least 1. Too small and slow
    /// receivers hold up everybody. One tenant has at most 15/16 of it, half of it at receivers that do not
    /// answer, and less while others need theirs.
    pub concurrency: usize,
    /// Deliveries in flight per webhook at once, where its options do not say otherwise; 10 by default,
    /// at least 1. This and [`WebhookOptions::max_in_flight`](crate::WebhookOptions::max_in_flight) hold
    /// for the cluster: each of `n` living nodes uses one `n`th of it, rounded down, but at least one.
    pub per_webhook: usize,
    /// Webhooks a tenant may have, those that are switched off included; 1,000 by default. More are refused, and of
    /// rows inserted by hand the newest beyond it are not in force: each event is a delivery to every
    /// webhook that wants it.
    pub max_per_tenant: usize,
    /// Most attempts of one tenant's deliveries started per second on this node, with a burst of one
    /// second's worth; `None`, the default, is no limit. What is over it waits and uses up no attempts.
    pub tenant_rate_limit: Option<NonZeroU32>,
    /// The part of both limits, in percent, that retries may not use, so that first attempts never
    /// wait behind old retries; 25 by default, at most 100. At least one slot stays for retries.
    pub fresh_percent: u8,
    /// How long a lease on a delivery holds; 180 s by default. Must be longer than the longest time
    /// limit of a webhook (120 s) plus the time settling may take, or deliveries are made twice.
    pub lease_hold: Duration,
    /// The shortest time between two lease calls; 2 ms by default. Work that arrives at rest is
    /// leased at once; under load the slots that came free meanwhile share one call.
    pub lease_pause: Duration,
    /// Deliveries that may be leased before there is a slot for them, on the whole node; 512 by default.
    /// Only receivers that answer within milliseconds get any, as many as they take in 20 ms, so that
    /// their slots do not stand empty while the ledger is asked. 0 leases for free slots only.
    pub lease_ahead: usize,
    /// Bytes of the bodies of deliveries that are leased or in flight on this node; 64 MiB by default. One tenant has
    /// half of it by itself, and less while others need theirs; one body passes in any case. What several deliveries
    /// share counts for each.
    pub body_bytes: usize,
    /// Most attempts settled in one call; 256 by default.
    pub settle_batch: usize,
    /// How long a finished attempt waits for others to be settled with; 2 ms by default.
    pub settle_linger: Duration,
    /// Finished attempts that may wait to be settled, beyond those in flight; 4,096 by default. When
    /// it is full (the database is away), attempts keep their slots and nothing new is leased.
    pub unsettled: usize,
    /// How often the ledger is asked for work that no signal came of; 1 s by default.
    pub poll_interval: Duration,
    /// How often expired leases are swept, and how often this node says that it lives; 5 s by default.
    pub sweep_interval: Duration,
    /// A node that was silent for this long is dead, and others take its deliveries over; 20 s by
    /// default. Must be several sweeps long, or a node that is only slow has its deliveries made twice.
    pub node_dead_after: Duration,
    /// When a receiver that only fails is left alone for a while.
    pub breaker: BreakerRule,
    /// A receiver's `Retry-After` counts up to this; 1 h by default. Zero ignores what receivers ask for.
    pub retry_after_cap: Duration,
    /// When a webhook whose receiver only fails is switched off.
    pub disable: DisableRule,
    /// Notices of webhooks that were switched off that may wait for each receiver of
    /// [`Webhooks::subscribe_disabled`](crate::Webhooks::subscribe_disabled); 256 by default. What does
    /// not fit is dropped for that receiver, logged and counted.
    pub disabled_notices: usize,
    /// How many seconds an event is worth sending, by event type or pattern such as `queue.*`, where
    /// its webhook does not say otherwise; 30 for `queue.stats` and `queue.stats.updated` by default,
    /// for ever for everything else.
    pub expiry: BTreeMap<String, u32>,
    /// How often old rows are purged; 60 s by default.
    pub purge_interval: Duration,
    /// How long log rows and ended deliveries are kept; 30 days by default.
    pub retention: Duration,
    /// How often the directory is asked whether a row changed; 1 s by default. Rows inserted by hand
    /// take effect after at most this long.
    pub table_interval: Duration,
    /// How long running attempts may go on after the soft token; 4 s by default. Keep it below the
    /// grace of the scope, or what was cut off waits for its lease to run out.
    pub stop_grace: Duration,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            concurrency: 512,
            per_webhook: 10,
            max_per_tenant: 1_000,
            tenant_rate_limit: None,
            fresh_percent: 25,
            lease_hold: Duration::from_mins(3),
            lease_pause: Duration::from_millis(2),
            lease_ahead: 512,
            body_bytes: 64 * 1024 * 1024,
            settle_batch: 256,
            settle_linger: Duration::from_millis(2),
            unsettled: 4_096,
            poll_interval: Duration::from_secs(1),
            sweep_interval: Duration::from_secs(5),
            node_dead_after: Duration::from_secs(20),
            breaker: BreakerRule::default(),
            retry_after_cap: Duration::from_hours(1),
            disable: DisableRule::default(),
            disabled_notices: 256,
            expiry: ["queue.stats", "queue.stats.updated"].map(|name| (name.to_owned(), 30)).into(),
            purge_interval: Duration::from_mins(1),
            retention: Duration::from_hours(720),
            table_interval: Duration::from_secs(1),
            stop_grace: Duration::from_secs(4),
        }
    }
}

/// When a webhook's circuit breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRule {
    /// It looks this far back; 60 s by default, in twelve steps.
    pub window: Duration,
    /// It opens when at least so many attempts ended within the window; 100 by default. So many cannot
    /// come from one delivery and its retries, whose times stay as the schedule says. `u32::MAX`
    /// switches breakers off.
    pub min_attempts: u32,
    /// And at least this part of them failed, in percent; 80 by default, at most 100.
    pub failed_percent: u8,
    /// How long it stays open at first; 30 s by default. Each failed probe doubles it.
    pub open_for: Duration,
    /// The longest it stays open before the next probe; 5 min by default.
    pub open_for_at_most: Duration,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self {
            window: Duration::from_mins(1),
            min_attempts: 100,
            failed_percent: 80,
            open_for: Duration::from_secs(30),
            open_for_at_most: Duration::from_mins(5),
        }
    }
}
