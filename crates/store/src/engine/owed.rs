//! Rows of the attempt log that could not be written yet, because somebody has their webhook's row locked.
//!
//! A log row refers to its webhook, and the database lets nobody refer to a row that another one is changing. An
//! operator's open transaction would so hold up every settlement, and with it the node's sign of life.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hookswitch_protocol::WebhookId;
use hookswitch_webhooks::{Attempted, DisableRule, DisabledWebhook};

use super::dialect;

/// Most attempts that are owed, of which one tenant has no more than is left over for the others; those beyond it get
/// no log row, for settling never waits for a locked row.
const MOST_ATTEMPTS: usize = 4_096;

/// Most bytes of bodies that are owed, shared likewise; attempts beyond it are owed without theirs.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Attempts that are written in one transaction.
pub(super) const STEP: usize = 100;

/// Most webhooks whose switching off waits to be announced; nobody asks where none are delivered to.
const MOST_DISABLED: usize = 1_024;

/// The attempts whose deliveries are settled and whose rows are not written. Clones share it.
pub(crate) type OwedLogs = Arc<Owed>;

/// An attempt whose row is still to be written.
#[derive(Debug, Clone)]
pub(crate) struct OwedAttempt {
    pub(crate) attempted: Attempted,
    pub(crate) rule: DisableRule,
    /// As it stands in the webhook's row, for whoever reads our log.
    pub(crate) tenant: String,
}

#[derive(Debug, Default)]
pub(crate) struct Owed {
    attempts: Mutex<VecDeque<OwedAttempt>>,
    /// Webhooks that such an attempt has switched off, and nobody was told so far.
    disabled: Mutex<Vec<DisabledWebhook>>,
    /// Whether it was said that some get no log row, since nothing was owed the last time.
    is_loss_told: AtomicBool,
}

/// How many attempts and bytes each tenant has, and all together.
#[derive(Default)]
struct Shares {
    of_tenant: HashMap<String, (usize, usize)>,
    all: (usize, usize),
}

impl Shares {
    fn of(owed: &VecDeque<OwedAttempt>) -> Self {
        let mut shares = Self::default();
        for one in owed {
            shares.take(&one.tenant, n_bytes(&one.attempted));
        }
        shares
    }

    fn own(&self, tenant: &str) -> (usize, usize) {
        self.of_tenant.get(tenant).copied().unwrap_or_default()
    }

    fn has_place(&self, tenant: &str) -> bool {
        self.own(tenant).0 < MOST_ATTEMPTS - self.all.0
    }

    fn has_room(&self, tenant: &str, n_bytes: usize) -> bool {
        self.own(tenant).1 + n_bytes <= MOST_BYTES - self.all.1.min(MOST_BYTES)
    }

    fn take(&mut self, tenant: &str, n_bytes: usize) {
        let (n, bytes) = self.own(tenant);
        self.of_tenant.insert(tenant.to_owned(), (n + 1, bytes + n_bytes));
        self.all = (self.all.0 + 1, self.all.1 + n_bytes);
    }
}

impl Owed {
    /// Whether some of the same webhooks are owed already: what follows waits behind them.
    pub(crate) fn concerns(&self, piece: &[Attempted]) -> bool {
        let owed = self.lock();
        !owed.is_empty() && piece.iter().any(|one| owed.iter().any(|other| other.webhook() == one.row.webhook))
    }

    /// Takes them as far as there is room, each once; how many get no log row.
    pub(crate) fn add(&self, attempts: impl Iterator<Item = OwedAttempt>) -> u64 {
        let mut owed = self.lock();
        let was_empty = owed.is_empty();
        // A call that failed after it was done is made again by its caller: a lease is for one attempt.
        let mut known: HashSet<(i64, i64)> = owed.iter().map(|one| lease(&one.attempted)).collect();
        let mut shares = Shares::of(&owed);
        let mut n_lost = 0;
        for one in attempts.filter(|one| known.insert(lease(&one.attempted))) {
            if !shares.has_place(&one.tenant) {
                n_lost += 1;
                continue;
            }
            let has_room = shares.has_room(&one.tenant, n_bytes(&one.attempted));
            let attempted = if has_room { one.attempted } else { without_bodies(&one.attempted, NO_ROOM) };
            shares.take(&one.tenant, n_bytes(&attempted));
            owed.push_back(OwedAttempt { attempted, ..one });
        }
        if was_empty && let Some(first) = owed.front() {
            self.is_loss_told.store(false, Ordering::Relaxed);
            tracing::warn!(
                tenant = first.tenant,
                webhook = %first.webhook(),
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
        let first = owed.front()?;
        let webhook = first.webhook();
        let its = owed.iter().filter(|one| one.webhook() == webhook).take(STEP);
        Some((webhook, its.map(|one| one.attempted.clone()).collect(), first.rule))
    }

    /// The first `n` attempts of this webhook are written, or can never be.
    pub(super) fn settled(&self, webhook: WebhookId, mut n: usize) {
        self.lock().retain(|one| {
            let is_written = one.webhook() == webhook && n > 0;
            n -= usize::from(is_written);
            !is_written
        });
    }

    /// The first webhook waits behind the others.
    pub(super) fn postpone(&self, webhook: WebhookId) {
        let mut owed = self.lock();
        let (its, others): (Vec<_>, Vec<_>) = owed.drain(..).partition(|one| one.webhook() == webhook);
        owed.extend(others.into_iter().chain(its));
    }

    pub(super) fn n_webhooks(&self) -> usize {
        let mut webhooks: Vec<WebhookId> = self.lock().iter().map(OwedAttempt::webhook).collect();
        webhooks.sort_unstable();
        webhooks.dedup();
        webhooks.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Gives up what is owed: how many attempts, by tenant and webhook.
    pub(super) fn abandon(&self) -> BTreeMap<(String, WebhookId), u64> {
        let mut lost = BTreeMap::new();
        for one in std::mem::take(&mut *self.lock()) {
            let webhook = one.webhook();
            *lost.entry((one.tenant, webhook)).or_default() += 1;
        }
        lost
    }

    /// These were switched off late: whoever announces it comes for them.
    pub(super) fn note_disabled(&self, disabled: &[DisabledWebhook]) {
        let mut noted = self.disabled.lock().unwrap_or_else(PoisonError::into_inner);
        noted.extend(disabled.iter().cloned());
        let n_excess = noted.len().saturating_sub(MOST_DISABLED);
        noted.drain(..n_excess);
    }

    /// Those that were switched off late since the last call.
    pub(super) fn take_disabled(&self) -> Vec<DisabledWebhook> {
        std::mem::take(&mut *self.disabled.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<OwedAttempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OwedAttempt {
    fn webhook(&self) -> WebhookId {
        self.attempted.row.webhook
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_whose_rows_are_locked_leaves_places_and_bytes_for_the_others() {
        let mut shares = Shares::default();
        let kib = 1_024;
        let mut n = 0;
        while shares.has_place("large") {
            shares.take("large", if shares.has_room("large", 8 * kib) { 8 * kib } else { 0 });
            n += 1;
        }
        assert_eq!(n, MOST_ATTEMPTS / 2);
        assert_eq!(shares.own("large").1, MOST_BYTES / 2);
        assert!(shares.has_place("small") && shares.has_room("small", 8 * kib));
        assert!(!shares.has_room("small", MOST_BYTES / 2 + 1));
    }
}
