//! The seam for deliveries: which webhook must still hear of which event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventId, EventType, NodeId, TenantId, Timestamp, WebhookId};

pub use super::ledger_error::LedgerError;
use crate::health::{DisableReason, DisableRule};
use crate::seams::attempt_log::AttemptRow;
use crate::seams::directory::Webhook;
use crate::seams::event_delivery::EventDelivery;
use hookswitch_runtime::BoxFuture;

/// Deliveries (an event without any counts as one) that one call of [`DeliveryLedger::enqueue`] is meant for:
/// a whole request of the largest size, where each event is for one webhook.
pub const ENQUEUE_DELIVERIES: usize = 1_000;

/// Bytes of bodies that one such call is meant for.
pub const ENQUEUE_BYTES: usize = 1024 * 1024;

/// Into how large steps, in deliveries, a request is cut that is larger than that; one event stays whole. So
/// that others' transactions come between them soon.
pub const ENQUEUE_STEP: usize = 250;

/// Most bytes of bodies after which one call of [`DeliveryLedger::lease`] hands out no more.
pub const LEASE_BYTES: usize = 16 * 1024 * 1024;

/// Keeps deliveries from acceptance to their end.
///
/// Every call is atomic and durable when it returns (where the keeper outlives the process at all).
/// Delivery is at least once: a delivery is handed out under a lease; when the lease runs out it is
/// handed out again, with the same id. The lease's fence decides whose result counts. A dropped
/// future leaves the call done or not done.
pub trait DeliveryLedger: Send + Sync {
    /// Whether these ids were used before, without storing anything; one answer per id, in order.
    fn look_up<'a>(
        &'a self,
        tenant: &'a TenantId,
        ids: &'a [(EventId, Fingerprint)],
    ) -> BoxFuture<'a, Result<Vec<Seen>, LedgerError>>;

    /// Remembers chosen ids, and stores one delivery per event and webhook, due at once. One answer
    /// per event, in order. When any answer is [`Seen::Conflict`], nothing at all was stored.
    /// A [`Seen::Repeated`] event gets no second delivery.
    ///
    /// It is one transaction, which others wait for: whoever has more than [`ENQUEUE_DELIVERIES`] or
    /// [`ENQUEUE_BYTES`] calls several times.
    fn enqueue(&self, batch: Vec<NewDeliveries>) -> BoxFuture<'_, Result<Vec<Seen>, LedgerError>>;

    /// How the deliveries of one event stand, the first `limit` by their webhooks' numbers; none where nothing is retained
    /// of it. `accepted_at` is [`NewDeliveries::accepted_at`]; without it only an event is found whose id was chosen, as
    /// long as that is remembered. A look for a person: it may cost more than what publishers wait for.
    fn deliveries_of<'a>(
        &'a self,
        tenant: &'a TenantId,
        event: &'a EventId,
        accepted_at: Option<Timestamp>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<EventDelivery>, LedgerError>>;

    /// Which webhooks have deliveries due now, fresh or as a retry, and when the next one is due.
    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>>;

    /// Hands out due deliveries: for each wish at most so many, oldest due first. Instead of being
    /// handed out, each with a skip row that says why, a delivery past its `expires_at` ends as
    /// expired, one of a deleted webhook is cancelled, and one of a webhook that was switched off
    /// becomes missed. Of a webhook that is ordered, a delivery with an order key waits while an
    /// earlier one with the same key has not ended. When the bodies handed out come to
    /// [`LeaseRequest::n_bytes`], the call may end with what it has, one at least, and the next one goes on.
    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>>;

    /// Settles attempts: the attempt's log row, the delivery's new state and the webhook's
    /// `last_triggered_at` and health, together. One answer per attempt, in order. A stale fence
    /// changes nothing but still logs the attempt and counts for the health, for it was made. Neither counts
    /// for the health, nor switches anything off, what judges nobody or a receiver that the webhook no longer
    /// has ([`Attempted::judged`]). The very
    /// same attempt again, because the answer to the first call was lost, changes nothing, is not logged
    /// again, and is answered as recorded.
    ///
    /// A webhook that said 410 ([`Disposition::Gone`]), or is hopeless by `rule`, is switched off here;
    /// each is told once, in the answer to the call that did it, whichever node it came from. Where that could not
    /// be judged at once, because somebody has the webhook's row locked, [`DeliveryLedger::take_disabled`] tells it.
    fn finish(&self, results: Vec<Attempted>, rule: DisableRule) -> BoxFuture<'_, Result<Settled, LedgerError>>;

    /// Webhooks that attempts have switched off which were settled before, and could be judged only later: since the
    /// last call. Whoever keeps the ledger may forget the oldest where nobody asks. A look into memory.
    fn take_disabled(&self) -> Vec<DisabledWebhook> {
        Vec::new()
    }

    /// Gives deliveries back that were handed out but not attempted; stale fences are ignored.
    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Makes ended deliveries of one webhook due again, with their ids and bodies, for a fresh round
    /// of attempts whose numbers go on from the last: at most `limit` of them, oldest first; call
    /// again with the same `now` until fewer went. What still waits or runs is left alone, and so is
    /// what has failed after `now`, or one that fails again meanwhile would come around again and
    /// again. Deliveries that retention has taken are gone.
    fn requeue(
        &self,
        webhook: WebhookId,
        which: Requeue,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Requeued, LedgerError>>;

    /// Says that this node lives, and gives back every lease of its own that ran out before `sweep.now`,
    /// and every one whose holder was not seen to say so for `sweep.dead_after`. No two nodes' clocks
    /// are compared, unless a node was never seen before.
    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Result<Swept, LedgerError>>;

    /// Gives back every lease of this node's former self; how many. On SQLite, a file of one
    /// process, all leases.
    fn reclaim<'a>(&'a self, node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>>;

    /// Forgets chosen ids older than 24 h, and ended deliveries, log rows and skip rows past
    /// retention, in bounded steps; how many rows went.
    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>>;
}

/// One accepted event and the webhooks that must hear of it.
#[derive(Debug, Clone)]
pub struct NewDeliveries {
    /// Whose event it is.
    pub tenant: TenantId,
    /// The event's id.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// The exact body every attempt sends, see `delivery_body`.
    pub body: Bytes,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Each gets one delivery. May be empty when only the id is to be remembered.
    pub targets: Vec<DeliveryTarget>,
    /// Set when the publisher chose the id: then it is remembered for 24 h.
    pub fingerprint: Option<Fingerprint>,
}

/// One webhook that must hear of an event, and on which terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryTarget {
    /// Which.
    pub webhook: WebhookId,
    /// After this moment it is not worth sending; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// Deliveries of this webhook with the same key go one after the other; at most 128 bytes.
    pub order_key: Option<String>,
    /// The webhook is switched off: the delivery is stored as missed, with a skip row, and not sent
    /// unless it is requeued.
    pub is_missed: bool,
}

impl DeliveryTarget {
    /// A delivery due at once, without further terms.
    pub fn new(webhook: WebhookId) -> Self {
        Self { webhook, expires_at: None, order_key: None, is_missed: false }
    }
}

/// A digest of an event's content, to tell a repetition from a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// What is known of a chosen event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Not used within 24 h.
    New,
    /// Used with the same content.
    Repeated,
    /// Used with other content.
    Conflict,
}

/// Where work waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Webhooks with something due now.
    pub due: Vec<DueWebhook>,
    /// When the next delivery that is not due yet will be; `None` when there is none.
    pub next_due: Option<Timestamp>,
}

/// One webhook with something due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueWebhook {
    /// Which.
    pub webhook: WebhookId,
    /// Whose; picking is fair between tenants.
    pub tenant: TenantId,
    /// Whether a first attempt is due.
    pub has_fresh: bool,
    /// Whether a retry is due.
    pub has_retry: bool,
}

/// A request for work.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// Who asks.
    pub by: NodeId,
    /// Deliveries due at or before this moment.
    pub now: Timestamp,
    /// How long the lease holds.
    pub hold: Duration,
    /// Bytes of bodies after which it is enough; at most [`LEASE_BYTES`].
    pub n_bytes: usize,
    /// How much of what.
    pub wishes: Vec<LeaseWish>,
}

/// How much of one webhook's work is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseWish {
    /// Whose deliveries.
    pub webhook: WebhookId,
    /// Most first attempts.
    pub fresh: u32,
    /// Most retries.
    pub retries: u32,
}

/// The right to attempt one delivery. Two leases of one delivery never share a fence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The ledger's own number of the delivery.
    pub number: i64,
    /// Rises with every lease of this delivery.
    pub fence: i64,
}

/// A delivery to attempt now.
#[derive(Debug, Clone)]
pub struct LeasedDelivery {
    /// The right to do so.
    pub lease: Lease,
    /// The same on every attempt.
    pub delivery: DeliveryId,
    /// Where to and how; deliveries that are handed out together share it.
    pub webhook: Arc<Webhook>,
    /// The event's type.
    pub event_type: EventType,
    /// The exact body.
    pub body: Bytes,
    /// This attempt's number, from 1.
    pub attempt: u32,
    /// How many of the attempts before it belong to earlier rounds: a requeued delivery has all its
    /// retries again.
    pub attempts_before: u32,
    /// When it became due.
    pub due_at: Timestamp,
}

/// One attempt that was made.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// Under which lease.
    pub lease: Lease,
    /// What happened, for `webhook_logs`.
    pub row: AttemptRow,
    /// What follows for the delivery.
    pub disposition: Disposition,
    /// The webhook as it was when the attempt was made, if the attempt says anything about its receiver: it
    /// counts as long as the webhook has the same URL and [`receiver_version`](Webhook::receiver_version).
    /// `None` where the fault is ours.
    pub judged: Option<Arc<Webhook>>,
}

impl Attempted {
    /// Whether it says something about the receiver at this URL with this version.
    pub fn judges(&self, url: &str, receiver_version: u32) -> bool {
        self.judged.as_ref().is_some_and(|judged| judged.url == url && judged.receiver_version == receiver_version)
    }
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// 2xx: done.
    Delivered,
    /// Not done, and no further attempt.
    Failed,
    /// The receiver said 410: failed, and the webhook is switched off.
    Gone,
    /// Not done, try again then.
    RetryAt(Timestamp),
    /// Not done for a reason of ours, such as a shutdown: due again then, as a first attempt if it was one. The
    /// attempt has its number, and leaves the delivery all the retries it had.
    Postponed(Timestamp),
}

/// What became of settling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// One answer per attempt, in order; fewer where the ledger failed after the first of them. The call is made
    /// again with the others only.
    pub finished: Vec<Finished>,
    /// Webhooks that this call has switched off.
    pub disabled: Vec<DisabledWebhook>,
}

/// A webhook that was just switched off by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisabledWebhook {
    /// As it is now.
    pub webhook: Webhook,
    /// Why.
    pub reason: DisableReason,
}

/// What became of settling one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The disposition is in force.
    Recorded,
    /// The lease had run out and somebody else holds or has ended the delivery.
    LeaseLost,
}

/// Which ended deliveries to make due again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requeue {
    /// One, however it ended.
    One(DeliveryId),
    /// All that ended without a 2xx, and whose event was accepted at or after this moment.
    FailedSince(Timestamp),
    /// All that were missed while the webhook was switched off, and whose event was accepted at or
    /// after this moment.
    MissedSince(Timestamp),
}

/// What a requeue found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requeued {
    /// Made due again.
    pub n_due: u64,
    /// Asked for by its id and not touched, because it waits or runs anyway.
    pub is_under_way: bool,
}

/// A look for leases that nobody keeps up.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The node that looks, and lives.
    pub by: NodeId,
    /// The present moment.
    pub now: Timestamp,
    /// A node that was silent for this long is dead.
    pub dead_after: Duration,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Leases given back.
    pub n_leases: u64,
    /// Nodes that live, this one included; at least 1.
    pub n_nodes: u32,
}

/// How long ended things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The present moment.
    pub now: Timestamp,
    /// Log rows, skip rows and ended deliveries are kept this long; 30 days by default.
    pub ended: Duration,
    /// Most rows to remove in one call.
    pub limit: u32,
}
