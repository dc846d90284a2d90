//! The seam for duties: which webhook must still hear of which event.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventId, EventType, NodeId, Retry, TenantId, Timestamp, WebhookId};

use crate::directory::Webhook;
use crate::log::AttemptRow;
use crate::seam::BoxFuture;

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
    fn enqueue(&self, batch: Vec<NewDuty>) -> BoxFuture<'_, Result<Vec<Seen>, LedgerError>>;

    /// Which webhooks have deliveries due now, fresh or as a retry, and when the next one is due.
    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>>;

    /// Hands out due deliveries: for each wish at most so many, oldest due first. A delivery whose
    /// webhook was deleted or switched off meanwhile is cancelled instead of handed out.
    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>>;

    /// Settles attempts: the attempt's log row, the delivery's new state and the webhook's
    /// `last_triggered_at`, together. One answer per attempt, in order. A stale fence changes nothing
    /// but still logs the attempt, for it was made.
    fn finish(&self, results: Vec<Attempted>) -> BoxFuture<'_, Result<Vec<Finished>, LedgerError>>;

    /// Gives deliveries back that were handed out but not attempted; stale fences are ignored.
    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Gives back every lease that ran out before `now`; how many.
    fn sweep(&self, now: Timestamp) -> BoxFuture<'_, Result<u64, LedgerError>>;

    /// Gives back every lease of this node's former self; how many. On SQLite, a file of one
    /// process, all leases.
    fn reclaim<'a>(&'a self, node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>>;

    /// Forgets chosen ids older than 24 h, and finished deliveries and log rows past retention, in
    /// bounded steps; how many rows went.
    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>>;
}

/// One accepted event and the webhooks that must hear of it.
#[derive(Debug, Clone)]
pub struct NewDuty {
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
    pub webhooks: Vec<WebhookId>,
    /// Set when the publisher chose the id: then it is remembered for 24 h.
    pub fingerprint: Option<Fingerprint>,
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
    /// Where to and how.
    pub webhook: Webhook,
    /// The event's type.
    pub event_type: EventType,
    /// The exact body.
    pub body: Bytes,
    /// This attempt's number, from 1.
    pub attempt: u32,
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
    pub verdict: Verdict,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx: done.
    Delivered,
    /// Not done, and no further attempt.
    Failed,
    /// Not done, try again then.
    RetryAt(Timestamp),
}

/// What became of settling one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// The verdict is in force.
    Recorded,
    /// The lease had run out and somebody else holds or has ended the delivery.
    LeaseLost,
}

/// How long ended things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The present moment.
    pub now: Timestamp,
    /// Log rows and ended deliveries are kept this long; 30 days by default.
    pub ended: Duration,
    /// Most rows to remove in one call.
    pub limit: u32,
}

/// Why the ledger could not do it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database is down, busy or did not answer in time; nothing was changed.
    #[error("delivery ledger is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LedgerError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::After(Duration::from_secs(1)),
        }
    }
}
