//! Rows of the attempt log that could not be written yet, because somebody has their webhook's row locked.
//!
//! A log row refers to its webhook, and the database lets nobody refer to a row that another one is changing. An
//! operator's open transaction would so hold up every settlement, and with it the node's sign of life.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hookswitch_protocol::WebhookId;
use hookswitch_webhooks::{Attempted, DisableRule};

use super::dialect;

/// Most attempts that are owed; those beyond it get no log row, for settling never waits for a locked row.
const MOST_ATTEMPTS: usize = 4_096;

/// Most bytes of bodies that are owed; attempts beyond it are owed without theirs.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Attempts that are written in one transaction.
pub(super) const STEP: usize = 100;

/// The attempts whose deliveries are settled and whose rows are not written. Clones share it.
pub(crate) type OwedLogs = Arc<Owed>;

#[derive(Debug, Default)]
pub(crate) struct Owed {
    attempts: Mutex<VecDeque<(Attempted, DisableRule)>>,
    /// Whether it was said that some get no log row, since nothing was owed the last time.
    is_loss_told: AtomicBool,
}

impl Owed {
    /// Whether some of the same webhooks are owed already: what follows waits behind them.
    pub(crate) fn concerns(&self, piece: &[Attempted]) -> bool {
        let owed = self.lock();
        !owed.is_empty() && piece.iter().any(|one| owed.iter().any(|(other, _)| other.row.webhook == one.row.webhook))
    }

    /// Takes them as far as there is room, each once; how many get no log row.
    pub(crate) fn add(&self, attempts: impl Iterator<Item = (Attempted, DisableRule)>) -> u64 {
        let mut owed = self.lock();
        let was_empty = owed.is_empty();
        // A call that failed after it was done is made again by its caller: a lease is for one attempt.
        let mut known: HashSet<(i64, i64)> = owed.iter().map(|(one, _)| lease(one)).collect();
        let mut held: usize = owed.iter().map(|(one, _)| n_bytes(one)).sum();
        let mut n_lost = 0;
        for (attempted, rule) in attempts.filter(|(one, _)| known.insert(lease(one))) {
            if owed.len() >= MOST_ATTEMPTS {
                n_lost += 1;
                continue;
            }
            let has_room = held + n_bytes(&attempted) <= MOST_BYTES;
            let kept = if has_room { attempted } else { without_bodies(&attempted, NO_ROOM) };
            held += n_bytes(&kept);
            owed.push_back((kept, rule));
        }
        if was_empty && let Some((first, _)) = owed.front() {
            self.is_loss_told.store(false, Ordering::Relaxed);
            tracing::warn!(
                webhook = %first.row.webhook,
                "a webhook's row is locked by somebody's open transaction: its attempts are logged when that ends"
            );
        }
        if n_lost > 0 && !self.is_loss_told.swap(true, Ordering::Relaxed) {
            tracing::error!(n_owed = owed.len(), "attempts get no log row: too many wait for locked rows of webhooks");
        }
        n_lost
    }

    /// The first webhook's oldest attempts.
    pub(super) fn first(&self) -> Option<(WebhookId, Vec<Attempted>, DisableRule)> {
        let owed = self.lock();
        let (first, rule) = owed.front()?;
        let webhook = first.row.webhook;
        let its = owed.iter().filter(|(one, _)| one.row.webhook == webhook).take(STEP);
        Some((webhook, its.map(|(one, _)| one.clone()).collect(), *rule))
    }

    /// The first `n` attempts of this webhook are written, or can never be.
    pub(super) fn settled(&self, webhook: WebhookId, mut n: usize) {
        self.lock().retain(|(one, _)| {
            let is_written = one.row.webhook == webhook && n > 0;
            n -= usize::from(is_written);
            !is_written
        });
    }

    /// The first webhook waits behind the others.
    pub(super) fn postpone(&self, webhook: WebhookId) {
        let mut owed = self.lock();
        let (its, others): (Vec<_>, Vec<_>) = owed.drain(..).partition(|(one, _)| one.row.webhook == webhook);
        owed.extend(others.into_iter().chain(its));
    }

    pub(super) fn n_webhooks(&self) -> usize {
        let mut webhooks: Vec<WebhookId> = self.lock().iter().map(|(one, _)| one.row.webhook).collect();
        webhooks.sort_unstable();
        webhooks.dedup();
        webhooks.len()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Attempted, DisableRule)>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an attempt's log row weighs.
pub(super) fn n_bytes(attempted: &Attempted) -> usize {
    attempted.row.body.len() + attempted.row.response_body.as_ref().map_or(0, String::len)
}

/// Which lease it was made under.
fn lease(attempted: &Attempted) -> (i64, i64) {
    (attempted.lease.number, attempted.lease.fence)
}

/// What stands in the log instead of a body for which there was no room while its webhook's row was locked.
const NO_ROOM: &str = "not logged: the webhook's row was locked for too long";

/// What stands in the log instead of a body that the database did not take.
pub(super) const REFUSED: &str = "not logged: the database refused it";

/// Whether it has bodies that can be left out.
pub(super) fn has_bodies(attempted: &Attempted) -> bool {
    let said = [NO_ROOM, REFUSED].map(dialect::as_json_string);
    attempted.row.response_body.is_some() || !said.iter().any(|said| attempted.row.body == *said)
}

/// The same with these words in the place of its bodies.
pub(super) fn without_bodies(attempted: &Attempted, said: &str) -> Attempted {
    let mut bare = attempted.clone();
    bare.row.body = Bytes::from(dialect::as_json_string(said));
    bare.row.response_body = None;
    bare
}
