//! Signals to the scheduler: work that arrived, slots that came free.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use tokio::sync::Notify;

use crate::receiver_version::ReceiverVersion;
use crate::seams::ledger::DueWebhook;

/// The scheduler's inbox. Signals about the same webhook become one, so it holds at most one
/// entry per webhook and one per slot, however much arrives.
#[derive(Debug, Default)]
pub(crate) struct SchedulerInbox {
    signals: Mutex<Signals>,
    /// Something for the scheduler.
    pub(super) arrived: Notify,
    /// A retry was scheduled, for the poller.
    pub(super) retry_scheduled: Notify,
}

/// Everything signalled since the last look.
#[derive(Debug, Default)]
pub(super) struct Signals {
    pub(super) due: HashMap<WebhookId, DueWebhook>,
    pub(super) freed: Vec<FreedSlot>,
    /// Webhooks that were just changed, switched off or deleted.
    pub(super) changed: HashSet<WebhookId>,
    /// Nodes that live, as far as known; 0 before the first count.
    pub(super) n_nodes: u32,
    pub(super) next_retry: Option<Timestamp>,
}

/// A slot that came free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FreedSlot {
    pub(super) webhook: WebhookId,
    pub(super) kind: AttemptKind,
    pub(super) ended: ReceiverOutcome,
    /// How long the attempt took.
    pub(super) took: Duration,
    /// Whom it was made to.
    pub(super) receiver: ReceiverVersion,
    /// Of the body it held.
    pub(super) n_bytes: usize,
}

/// Whether a delivery is attempted for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptKind {
    Fresh,
    Retry,
}

/// What the end of an attempt says about the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiverOutcome {
    /// It took the delivery, or refused it with reason.
    Well,
    /// It failed and is to blame: no connection, no HTTP, 5xx, 429.
    Badly,
    /// It kept silent until the time limit.
    TimedOut,
    /// It took the delivery, and its answer went on until the time limit.
    Slowly,
    /// Nothing: the attempt was cut off, never reached it, or failed for a reason of ours.
    Unknown,
}

impl SchedulerInbox {
    /// First attempts are due for these webhooks.
    pub(crate) fn work_arrived(&self, targets: &[(TenantId, Vec<WebhookId>)]) {
        if targets.iter().all(|(_, webhooks)| webhooks.is_empty()) {
            return;
        }
        let mut signals = self.lock();
        for (tenant, webhooks) in targets {
            for webhook in webhooks {
                signals.merge(&DueWebhook {
                    webhook: *webhook,
                    tenant: tenant.clone(),
                    has_fresh: true,
                    has_retry: false,
                });
            }
        }
        drop(signals);
        self.arrived.notify_one();
    }

    /// The ledger says these have something due.
    pub(super) fn found_due(&self, due: &[DueWebhook]) {
        if due.is_empty() {
            return;
        }
        let mut signals = self.lock();
        for one in due {
            signals.merge(one);
        }
        drop(signals);
        self.arrived.notify_one();
    }

    /// An attempt ended and its slot is free.
    pub(super) fn slot_freed(&self, freed: FreedSlot) {
        self.lock().freed.push(freed);
        self.arrived.notify_one();
    }

    /// This webhook was just changed, switched off or deleted: what is ready goes back, to be leased as it is
    /// now.
    pub(crate) fn changed(&self, webhook: WebhookId) {
        self.lock().changed.insert(webhook);
        self.arrived.notify_one();
    }

    /// So many nodes live.
    pub(super) fn nodes_counted(&self, n_nodes: u32) {
        self.lock().n_nodes = n_nodes;
    }

    /// A retry was scheduled for then.
    pub(super) fn retry_at(&self, due: Timestamp) {
        let mut signals = self.lock();
        if signals.next_retry.is_none_or(|known| due < known) {
            signals.next_retry = Some(due);
            drop(signals);
            self.retry_scheduled.notify_one();
        }
    }

    /// The earliest retry scheduled since the last call.
    pub(super) fn take_next_retry(&self) -> Option<Timestamp> {
        self.lock().next_retry.take()
    }

    /// Everything signalled since the last call.
    pub(super) fn take(&self) -> Signals {
        let mut signals = self.lock();
        let (n_nodes, next_retry) = (signals.n_nodes, signals.next_retry.take());
        std::mem::replace(&mut *signals, Signals { n_nodes, next_retry, ..Signals::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Signals> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signals {
    fn merge(&mut self, due: &DueWebhook) {
        let known = self.due.entry(due.webhook).or_insert_with(|| DueWebhook {
            has_fresh: false,
            has_retry: false,
            ..due.clone()
        });
        known.has_fresh |= due.has_fresh;
        known.has_retry |= due.has_retry;
    }
}
