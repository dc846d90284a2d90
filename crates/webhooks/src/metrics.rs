//! What the delivery machinery counts.

use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_egress::ErrorClass;
use hookswitch_runtime::metrics::Registry;

hookswitch_runtime::counters! {
    /// What is counted of deliveries. Test deliveries are no attempts; a failed probe opens no breaker.
    pub struct WebhookMetrics {
        attempts as "delivery_attempts": "Webhook attempts",
        delivered as "deliveries_done": "Deliveries that ended with a 2xx",
        failed as "deliveries_failed": "Deliveries given up",
        retried as "delivery_retries": "Attempts after which another was scheduled",
        postponed as "delivery_postponements": "Attempts made again for a reason of ours, such as a shutdown",
        resent as "deliveries_resent": "Ended deliveries made due again by request",
        lease_lost as "delivery_leases_lost": "Attempts settled after their lease",
        given_back as "deliveries_given_back": "Deliveries given back unattempted",
        rate_limited as "delivery_rate_limited": "Times deliveries waited for a rate limit",
        breaker_opened as "breaker_openings": "Times a webhook's circuit breaker opened",
        disabled as "webhooks_disabled": "Webhooks switched off for their receiver",
        disabled_news_dropped: "Notices of webhooks switched off that nobody took in time",
    }
    by {
        errors as "delivery_errors" "class" (ErrorClass::ALL.iter().map(|class| class.label())):
            "Webhook attempts that went wrong, by class",
    }
}

/// Everything that is counted, and how much there is now.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) counters: WebhookMetrics,
    /// Attempts running, tests included.
    pub(crate) in_flight: Level,
    /// Finished attempts waiting to be settled.
    pub(crate) unsettled: Level,
    /// Deliveries leased and not started yet.
    pub(crate) ready: Level,
    /// Bytes of the bodies of what runs or is leased.
    pub(crate) body_bytes: Level,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            counters: WebhookMetrics::default(),
            in_flight: Level::default(),
            unsettled: Level::default(),
            ready: Level::default(),
            body_bytes: Level::default(),
        }
    }

    /// Counts an attempt that went wrong.
    pub(crate) fn error(&self, class: ErrorClass) {
        self.counters.errors.inc(class.label());
    }

    /// Registers what is counted.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.counters.register(registry);
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Level(AtomicU64);

impl Level {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// For a figure that one task knows as a whole.
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more until the guard is dropped, also when the task that holds it is cut off.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }
}

/// One of something that is going on.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Level);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}
