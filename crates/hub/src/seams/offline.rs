//! The seam for offline messages: kept for users without any connection.

use bytes::Bytes;
use hookswitch_protocol::{Event, EventId, Retry, Timestamp};

use crate::seams::broker::EncodedEvent;
use crate::seams::user_key::UserKey;
use hookswitch_runtime::BoxFuture;

/// Keeps events for users who are away.
///
/// Per user messages come out oldest first, in the order they were put. Bounded per user by count, bytes
/// and age; beyond the bound the oldest are dropped and counted, but never the newest for its bytes. A claimed message belongs to its
/// claimer until it is confirmed (gone for good) or given back (first in line again, in its old
/// place); a claim does not survive the end of the claiming node: its messages are then waiting
/// again. Two claims never hold the same message. One node at a time claims a user's messages; the
/// others are told how long that may last. Putting is idempotent on the event id per user. Every
/// call is atomic; a dropped future leaves the call done or not done.
pub trait OfflineStore: Send + Sync {
    /// Keeps the messages, in order. Returns when they survive a crash of the process (where the
    /// store does at all). All or nothing for each user; after an error, those of some users may
    /// have been kept, and putting them again keeps none twice.
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>>;

    /// Takes up to `limit` of the oldest unclaimed messages of this user, together at most
    /// [`OFFLINE_PAGE_BYTES`], unless the first alone is larger.
    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>>;

    /// The claimed messages were written to the client and are not needed any more.
    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>>;

    /// The claimed messages were not written: they wait again.
    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>>;

    /// `false` only when it is sure that nothing waits for this user; spares the connecting path a
    /// look-up. Honest default: `true`.
    fn may_have(&self, user: &UserKey) -> bool {
        let _ = user;
        true
    }
}

/// One event for a user who is away.
#[derive(Debug, Clone)]
pub struct OfflineMessage {
    /// For whom.
    pub user: UserKey,
    /// The event's id.
    pub event_id: EventId,
    /// The encoded envelope, sent later as it stands.
    pub envelope: Bytes,
    /// When it was accepted; its age is counted from here.
    pub at: Timestamp,
}

impl OfflineMessage {
    /// The message to keep of an event; `None` when it waits for nobody: when it is for the whole
    /// tenant, or for connections that named a topic, or of the moment like a typing indicator.
    pub fn of(event: &Event) -> Option<Self> {
        Self::with_envelope(event, || Bytes::from(event.encode()))
    }

    /// The same, with the envelope that was printed already.
    pub fn of_encoded(event: &EncodedEvent) -> Option<Self> {
        Self::with_envelope(event, || event.envelope().clone())
    }

    fn with_envelope(event: &Event, envelope: impl FnOnce() -> Bytes) -> Option<Self> {
        let user = UserKey::addressee(event)?;
        Some(Self { user, event_id: event.id.clone(), envelope: envelope(), at: event.timestamp })
    }
}

/// The store's own number of a waiting message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(pub i64);

/// One claimed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedMessage {
    /// What to confirm or give back.
    pub number: MessageNumber,
    /// The encoded envelope.
    pub envelope: Bytes,
}

/// What a claim found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// Oldest first; empty when nothing waits.
    pub messages: Vec<ClaimedMessage>,
    /// Messages of this user dropped over the bound since the last claim; told to the client.
    pub n_dropped: u64,
    /// Set when nothing was claimed because another node is bringing the user messages: when to look
    /// again.
    pub held_elsewhere: Option<std::time::Duration>,
}

/// Most bytes of envelopes in one claim; one message may be larger.
pub const OFFLINE_PAGE_BYTES: usize = 1024 * 1024;

/// The bounds of an offline store.
#[derive(Debug, Clone, Copy)]
pub struct OfflineLimits {
    /// Most messages kept per user; 10,000 by default. Beyond it the oldest are dropped.
    pub per_user: usize,
    /// Most bytes of envelopes kept per user; 32 MiB by default. Beyond it the oldest are dropped, but for one. Of
    /// lists in Redis, which foreign programs fill too, those that are being brought to the user are not counted.
    pub per_user_bytes: usize,
    /// Oldest message kept; 7 days by default.
    pub max_age: std::time::Duration,
}

impl Default for OfflineLimits {
    fn default() -> Self {
        Self { per_user: 10_000, per_user_bytes: 32 * 1024 * 1024, max_age: std::time::Duration::from_hours(7 * 24) }
    }
}

/// Why an offline store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The store is down, full, or did not answer in time; nothing was changed.
    #[error("offline store is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OfflineError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::After(std::time::Duration::from_secs(1)),
        }
    }
}
