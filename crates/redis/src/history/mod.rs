//! Recent history: a stream per tenant, which gives every event its position.
//!
//! A batch of one tenant is appended by one script, which takes the next offsets of the tenant's epoch, and publishes
//! the events with their positions: so the order on the channels is the order of the stream, and every node sees the
//! same. What was missed is read from the stream. It holds so many of the tenant's last events as count, bytes and age
//! allow, whole entries, each of which has the events of one batch.
//!
//! A history that was lost, or that a fail-over set back, gives positions again that somebody has seen. It is noticed by
//! the server's run id, by the position that the appending node has seen, and by the stream itself; then a new epoch
//! begins, greater than every one before.

mod append;
mod batch;
mod connections;
mod error;
mod heads;
mod limits;
mod page;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use fred::types::Value;
use hookswitch_protocol::TenantId;

use self::connections::Connections;
use crate::link::Link;
use crate::script::Script;

pub use self::append::{AppendRequest, AppendWay, Appended, PublishRefusal};
pub use self::batch::{AppendEvent, Batch, Marks};
pub use self::error::HistoryError;
pub use self::heads::Head;
pub use self::limits::StreamLimits;
pub use self::page::{HistoryEvent, HistoryPage, HistoryRead, MissingEvents, PageBounds};
pub use hookswitch_protocol::Position;

/// How long a head lasts that nobody appends to or asks for: a day, and an hour in which the scripts do not renew it. They
/// say the same.
const HEAD_EXPIRY_SECS: u32 = 25 * 60 * 60;

/// A node's way to the recent history of all tenants. Its own connections, apart from the link's.
#[derive(Debug)]
pub struct HistoryStream {
    link: Link,
    bounds: StreamLimits,
    connections: Connections,
    append: Script,
    begin: Script,
    read: Script,
    /// Of the last batch, over all tenants.
    sequence: AtomicU64,
    n_randoms: AtomicU64,
    hasher: RandomState,
}

impl HistoryStream {
    /// For one node; nothing is connected to yet. The bounds are the same on every node.
    pub fn new(link: Link, bounds: StreamLimits) -> Self {
        Self {
            connections: Connections::new(link.clone()),
            link,
            bounds,
            append: Script::new(concat!(
                include_str!("../scripts/history_numbers.lua"),
                include_str!("../scripts/history_lib.lua"),
                include_str!("../scripts/history_append.lua")
            )),
            begin: Script::new(concat!(
                include_str!("../scripts/history_numbers.lua"),
                include_str!("../scripts/history_lib.lua"),
                include_str!("../scripts/history_begin.lua")
            )),
            read: Script::new(include_str!("../scripts/history_read.lua")),
            sequence: AtomicU64::new(0),
            n_randoms: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Puts events together that are to be appended as one, with a sequence that no other batch of this node has.
    /// Batches of a tenant are appended in the order in which they are made.
    ///
    /// # Panics
    /// When there are no events.
    pub fn batch(&self, events: Vec<AppendEvent>) -> Batch {
        Batch::new(self.sequence.fetch_add(1, Ordering::Relaxed) + 1, events)
    }

    /// Head and stream of a tenant.
    fn keys(&self, tenant: &TenantId) -> [String; 2] {
        let keys = self.link.keys();
        [keys.history_head(tenant), keys.history(tenant)]
    }

    /// Three digits, by which epochs differ that begin at the same time on different servers.
    fn random(&self) -> u64 {
        self.hasher.hash_one(self.n_randoms.fetch_add(1, Ordering::Relaxed)) % 1_000
    }
}

/// The values of an array.
fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

/// A value as text.
fn text(value: &Value) -> Option<String> {
    value.as_string()
}

/// A value as a number.
fn number(value: &Value) -> Option<u64> {
    text(value)?.parse().ok()
}
