//! What the delivery machinery counts.

use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_egress::ErrorClass;

/// The figures since start, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryCounters {
    /// Attempts made, tests not counted.
    pub attempts: u64,
    /// Deliveries that ended with a 2xx.
    pub delivered: u64,
    /// Deliveries given up.
    pub failed: u64,
    /// Attempts after which another one was scheduled.
    pub retried: u64,
    /// Ended deliveries made due again because somebody asked for it.
    pub resent: u64,
    /// Attempts whose lease had run out when they were settled.
    pub lease_lost: u64,
    /// Attempts running now, tests included.
    pub in_flight: u64,
    /// Finished attempts waiting to be settled.
    pub unsettled: u64,
    /// Deliveries leased and not started yet.
    pub ready: u64,
    /// Deliveries given back unattempted: leased ahead or cut off, and not wanted any more.
    pub given_back: u64,
    /// How often a webhook or a tenant had to wait because of its rate limit.
    pub rate_limited: u64,
    /// How often a circuit breaker opened; a failed probe does not count.
    pub breaker_opened: u64,
    /// Circuit breakers that are open or half open now.
    pub breakers_open: u64,
    /// Webhooks switched off because they only failed or said 410, by calls of this node.
    pub disabled: u64,
    /// Notices of such that were dropped because a receiver of them did not keep up.
    pub disabled_news_dropped: u64,
    /// Attempts by what went wrong, every class once.
    pub errors: Vec<(ErrorClass, u64)>,
}

const N_CLASSES: usize = ErrorClass::ALL.len();

/// The live figures; each is a plain counter of its own, so a snapshot may be a moment apart.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) attempts: Counter,
    pub(crate) delivered: Counter,
    pub(crate) failed: Counter,
    pub(crate) retried: Counter,
    pub(crate) resent: Counter,
    pub(crate) lease_lost: Counter,
    pub(crate) in_flight: Counter,
    pub(crate) unsettled: Counter,
    pub(crate) ready: Counter,
    pub(crate) given_back: Counter,
    pub(crate) rate_limited: Counter,
    pub(crate) breaker_opened: Counter,
    pub(crate) breakers_open: Counter,
    pub(crate) disabled: Counter,
    pub(crate) disabled_news_dropped: Counter,
    errors: [Counter; N_CLASSES],
}

impl Counters {
    /// Counts an attempt that went wrong.
    pub(crate) fn error(&self, class: ErrorClass) {
        self.errors[class as usize].add(1);
    }

    /// The figures now.
    pub(crate) fn snapshot(&self) -> DeliveryCounters {
        DeliveryCounters {
            attempts: self.attempts.get(),
            delivered: self.delivered.get(),
            failed: self.failed.get(),
            retried: self.retried.get(),
            resent: self.resent.get(),
            lease_lost: self.lease_lost.get(),
            in_flight: self.in_flight.get(),
            unsettled: self.unsettled.get(),
            ready: self.ready.get(),
            given_back: self.given_back.get(),
            rate_limited: self.rate_limited.get(),
            breaker_opened: self.breaker_opened.get(),
            breakers_open: self.breakers_open.get(),
            disabled: self.disabled.get(),
            disabled_news_dropped: self.disabled_news_dropped.get(),
            errors: ErrorClass::ALL.iter().map(|class| (*class, self.errors[*class as usize].get())).collect(),
        }
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
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

    /// Counts one up until the guard is dropped, also when the task that holds it is cut off.
    pub(crate) fn hold(&self) -> Held<'_> {
        self.add(1);
        Held(self)
    }
}

/// One of something that is going on.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a Counter);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}
