//! The hub: connections, subscriptions, shards, fan-out and the seams it needs.
//!
//! Knows nothing of sockets, Redis, SQL or HTTP. Embedders use it without the gateway:
//!
//! ```
//! use std::sync::Arc;
//! use hookswitch_hub::memory::MemoryTransport;
//! use hookswitch_hub::{Attachment, Clearance, Hub, HubConfig, Subject, Publication};
//! use hookswitch_protocol::{Event, EventId, EventType, Payload, TenantId, UserId};
//! use hookswitch_runtime::{Clock, Scope};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (scope, clock) = (Scope::root("example"), Clock::system());
//! let (hub, admission) = Hub::in_memory::<MemoryTransport>(HubConfig::default(), clock.clone(), &scope).await?;
//! let tenant = TenantId::parse("tenant-123")?;
//! let subject = Subject::User(UserId::from(456));
//! let who = Attachment { tenant: tenant.clone(), subject, clearance: Clearance::Standard, expires_at: None };
//! let (end, mut inbox) = MemoryTransport::pair(16);
//! admission.attach(who).await?.open(end).await;
//!
//! let event = Event {
//!     id: EventId::generate(clock.now()), event_type: EventType::CALL_INCOMING, tenant: tenant.clone(), user: None,
//!     session: None, topic: None, payload: Payload::empty(), timestamp: clock.now(),
//! };
//! let room = hub.reserve(&tenant, 1).await?;
//! hub.publish(room, &[Publication::new(Arc::new(event))]).await;
//! assert!(inbox.next().await.is_some_and(|text| text.contains("call.incoming")));
//! # scope.hard().cancel();
//! # Ok(())
//! # }
//! ```

mod admission;
mod affinity;
mod append_batch;
mod attachment;
mod broker;
mod chat;
mod config;
mod connection;
mod connection_counts;
mod connection_handle;
mod counters;
mod error;
mod fanout;
pub mod frame;
mod gap_notices;
mod hub;
mod inbound;
mod inbound_jobs;
pub mod memory;
mod offline;
mod offline_delivery;
mod outbox;
mod presence;
mod presence_sync;
mod receipt;
mod sessions;
mod shard;
mod shard_interest;
mod shared;
mod start;
mod subscription_index;
mod tenant_quota;
mod tenant_table;
mod transport;
mod user_key;

pub use admission::{Admission, PendingConnection};
pub use affinity::ShardId;
pub use attachment::{Attachment, Clearance, Subject};
pub use broker::{Broker, BrokerError, BrokerSink, GapScope, Origin, Publication, Received};
pub use chat::{ChatSession, ChatSessionError, ChatSessionStore, SessionStart, SharedChatSessions};
pub use config::HubConfig;
pub use connection_handle::{ConnectionHandle, TooManyNames};
pub use counters::HubCounters;
pub use error::HubError;
pub use fanout::Reservation;
pub use hub::{Hub, UserLocation};
pub use offline::{Claim, ClaimedMessage, MessageNumber, OfflineError, OfflineLimits, OfflineMessage, OfflineStore};
pub use offline_delivery::BacklogNotice;
pub use outbox::Outbox;
pub use presence::{PresenceChange, PresenceError, PresenceState, PresenceStore, UserPresence};
pub use sessions::{ChatSessions, SessionError};
pub use start::{Prepared, Seams, StartError};
pub use transport::{Flushed, Transport};
pub use user_key::{BoxFuture, UserKey};
