//! What became of one event: put together when somebody asks, from what is there anyway. An event that nobody asks about
//! costs nothing here.

pub(crate) mod judged;
pub(crate) mod past_connections;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod tenant_log;

use std::time::Duration;

use hookswitch_protocol::{EventId, TenantId, Timestamp, UserId};

use crate::seams::offline::OfflineMessage;
use crate::seams::user_key::UserKey;
use crate::trace::past_connections::PastConnection;
use crate::trace::tenant_log::{TenantLog, Weighed};

/// Bytes of closed connections that are remembered, over all tenants.
const CONNECTION_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of notes of kept messages, over all tenants.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// What is remembered for whoever asks later. Written when connections close and messages are kept, and read by nobody
/// on an event's way.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(crate) past_connections: TenantLog<PastConnection>,
    pub(crate) kept: TenantLog<KeptNote>,
}

/// That a message was kept for a user.
#[derive(Debug, Clone)]
pub(crate) struct KeptNote {
    pub(crate) user: UserId,
    pub(crate) event: EventId,
    pub(crate) at: Timestamp,
}

impl Traces {
    /// Empty ones, in which everything is remembered for so long at most.
    pub(crate) fn new(age: Duration) -> Self {
        Self { past_connections: TenantLog::new(CONNECTION_BYTES, age), kept: TenantLog::new(KEPT_BYTES, age) }
    }
}

impl KeptNote {
    /// Whose message it is, and what is remembered of its keeping.
    pub(crate) fn of(message: &OfflineMessage) -> (TenantId, Self) {
        let UserKey { tenant, user } = message.user.clone();
        (tenant, Self { user, event: message.event_id.clone(), at: message.at })
    }
}

impl Weighed for KeptNote {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.event.as_str().len() + record::user_bytes(&self.user)
    }
}
