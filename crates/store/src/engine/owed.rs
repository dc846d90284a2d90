//! Rows of the attempt log that could not be written yet, because somebody has their webhook's row locked.
//!
//! A log row refers to its webhook, and the database lets nobody refer to a row that another one is changing. An
//! operator's open transaction would so hold up every settlement, and with it the node's sign of life.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookswitch_protocol::WebhookId;
use hookswitch_webhooks::{Attempted, DisableRule};

/// Most attempts that are owed; beyond it settling waits.
const MOST_ATTEMPTS: usize = 4_096;

/// Most bytes of bodies that are owed, with the same consequence.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Attempts that are written in one transaction.
pub(super) const STEP: usize = 100;

/// The attempts whose deliveries are settled and whose rows are not written. Clones share it.
pub(crate) type OwedLogs = Arc<Owed>;

#[derive(Debug, Default)]
pub(crate) struct Owed(Mutex<VecDeque<(Attempted, DisableRule)>>);

impl Owed {
    /// Whether some of the same webhooks are owed already: what follows waits behind them.
    pub(crate) fn concerns(&self, piece: &[Attempted]) -> bool {
        let owed = self.lock();
        !owed.is_empty() && piece.iter().any(|one| owed.iter().any(|(other, _)| other.row.webhook == one.row.webhook))
    }

    pub(crate) fn has_room(&self, piece: &[Attempted]) -> bool {
        let owed = self.lock();
        let held: usize = owed.iter().map(|(one, _)| n_bytes(one)).sum();
        owed.len() + piece.len() <= MOST_ATTEMPTS && held + piece.iter().map(n_bytes).sum::<usize>() <= MOST_BYTES
    }

    pub(crate) fn add(&self, attempts: impl Iterator<Item = (Attempted, DisableRule)>) {
        let mut owed = self.lock();
        let was_empty = owed.is_empty();
        owed.extend(attempts);
        if was_empty && !owed.is_empty() {
            tracing::warn!(
                webhook = %owed[0].0.row.webhook,
                "a webhook's row is locked by somebody's open transaction: its attempts are logged when that ends"
            );
        }
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an attempt's log row weighs.
pub(super) fn n_bytes(attempted: &Attempted) -> usize {
    attempted.row.body.len() + attempted.row.response_body.as_ref().map_or(0, String::len)
}
