//! When a failed attempt is made again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hookswitch_protocol::Timestamp;

use crate::options::RetryProfile;
use crate::seams::directory::Webhook;
use crate::seams::ledger::Disposition;
use crate::sender::AttemptOutcome;

/// Most retries of one delivery, whatever a row inserted by hand says.
pub(crate) const MAX_RETRIES: u32 = 20;

/// The status of a receiver that is gone for good.
const GONE: u16 = 410;

/// The statuses beside 5xx that a webhook's owner may have retried: each says that the request came at a
/// bad moment, every other 4xx that it is bad.
pub const RETRYABLE_STATUSES: [u16; 3] = [408, 425, 429];

/// The delays of [`RetryProfile::Durable`], in seconds; the last one repeats. The shape is the one
/// that the Standard Webhooks specification recommends under "Deliverability and reliability":
/// seconds first, for a hiccup, then hours, for an outage over a night or a weekend.
const DURABLE_SECS: [u64; 10] = [5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// How far from its delay a durable retry may lie, to either side: what failed together does not
/// come back together.
const DURABLE_JITTER: f64 = 0.2;

/// How long after the end of attempt `attempt` (from 1, within the round) the next one is due.
///
/// - [`RetryProfile::Standard`]: 2, 4, 8, … seconds; the exponent stops growing at 20. No jitter.
/// - [`RetryProfile::Durable`]: 5 s, 1 min, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, then every
///   24 h, each up to a fifth shorter or longer: `random`, from 0 to 1, says where in between.
pub fn retry_delay(profile: RetryProfile, attempt: u32, random: f64) -> Duration {
    match profile {
        RetryProfile::Standard => Duration::from_secs(1 << attempt.clamp(1, MAX_RETRIES)),
        RetryProfile::Durable => {
            let step = (attempt.max(1) as usize - 1).min(DURABLE_SECS.len() - 1);
            let factor = 1.0 - DURABLE_JITTER + 2.0 * DURABLE_JITTER * random.clamp(0.0, 1.0);
            Duration::from_secs(DURABLE_SECS[step]).mul_f64(factor)
        }
    }
}

/// Judges attempts.
#[derive(Debug)]
pub(crate) struct RetryPolicy {
    /// A receiver's `Retry-After` counts up to this.
    retry_after_cap: Duration,
    jitter: Jitter,
}

impl RetryPolicy {
    pub(crate) fn new(retry_after_cap: Duration, jitter: Jitter) -> Self {
        Self { retry_after_cap, jitter }
    }

    /// What follows attempt `attempt` (from 1, within the round) that ended at `ended_at`: done with a
    /// 2xx; tried again, while retries are left, after a network error, a timeout, a 5xx, and after a
    /// 408, 425 or 429 where the webhook lists it; gone with a 410; given up otherwise. A receiver that
    /// asks for more time than the schedule gives has it, up to the cap.
    pub(crate) fn disposition(
        &self,
        outcome: &AttemptOutcome,
        webhook: &Webhook,
        attempt: u32,
        ended_at: Timestamp,
    ) -> Disposition {
        if outcome.is_success() {
            return Disposition::Delivered;
        }
        if outcome.status == Some(GONE) {
            return Disposition::Gone;
        }
        let is_listed =
            |status| RETRYABLE_STATUSES.contains(&status) && webhook.options.retry_statuses.contains(&status);
        let may_do_better = outcome.is_worth_retrying() || outcome.status.is_some_and(is_listed);
        if !may_do_better || attempt > webhook.retry_count.min(MAX_RETRIES) {
            return Disposition::Failed;
        }
        let delay = retry_delay(webhook.options.retry_profile, attempt, self.jitter.next());
        let asked = outcome.retry_after.unwrap_or_default().min(self.retry_after_cap);
        Disposition::RetryAt(ended_at.after(delay.max(asked)))
    }
}

/// Where the jitter comes from: numbers that only have to differ, from a seed handed in (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number, from 0 up to 1.
    fn next(&self) -> f64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
#[path = "retry_policy_tests.rs"]
mod tests;
