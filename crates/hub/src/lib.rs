//! The hub: connections, subscriptions, shards, fan-out and the seams it needs.
//!
//! Knows nothing of sockets, Redis, SQL or HTTP. Embedders use it without the gateway:
//!
//! ```
//! use std::sync::Arc;
//! use hookswitch_hub::memory::MemoryTransport;
//! use hookswitch_hub::{Attachment, HubBuilder, HubConfig, Subject, Publication};
//! use hookswitch_protocol::{Event, EventId, EventType, Payload, TenantId, UserId};
//! use hookswitch_runtime::{Clock, Scope};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (scope, clock) = (Scope::root("example"), Clock::system());
//! let (hub, admission) = HubBuilder::in_memory(HubConfig::default(), clock.clone(), &scope).await?;
//! let tenant = TenantId::parse("tenant-123")?;
//! let subject = Subject::User(UserId::from(456));
//! let who = Attachment::new(tenant.clone(), subject);
//! let (open, mut inbox) = MemoryTransport::pair(16);
//! admission.attach(who, MemoryTransport::FORM).await?.open(open).await;
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
mod attachment;
mod backlog_notice;
mod builder;
mod cluster;
mod config;
mod connection_caps;
mod departure;
mod error;
mod failed_handovers;
mod history;
mod hub;
mod kept_page;
mod keyed_locks;
mod live_state;
pub mod memory;
mod metrics;
mod notice;
mod offline_delivery;
mod page_permits;
mod publish;
mod seams;
mod sessions;
mod shard;
mod shared;
mod trace;

pub use admission::{Admission, PendingConnection};
pub use attachment::{Attachment, Clearance, ResumeFrom, Subject};
pub use backlog_notice::BacklogNotice;
pub use builder::{HubBuilder, Seams, StartError};
pub use cluster::questions::ClusterAnswer;
pub use config::HubConfig;
pub use connection_caps::{ConnectionCap, ConnectionCaps};
pub use error::{HubError, TooManyNames};
pub use history::classes::EventClasses;
pub use history::limits::HistoryLimits;
pub use history::size::HistorySize;
pub use hookswitch_runtime::BoxFuture;
pub use hookswitch_state::{InvalidSubscription, StateSettings, StateSubscription};
pub use hub::{Hub, Inspector, NotRecovered, PastEvents, UserLocation};
pub use live_state::limits::StateLimits;
pub use metrics::HubMetrics;
pub use publish::affinity::ShardId;
pub use publish::fanout::Reservation;
pub use publish::wire_form::{Message, WireForm};
pub use seams::broker::{Broker, BrokerError, BrokerSink, EncodedEvent, GapScope, Origin, Past, Publication, Received};
pub use seams::chat::{ChatSession, ChatSessionError, ChatSessionStore, SessionStart, SharedChatSessions};
pub use seams::history::{HistoryError, HistoryStore, SavedPart};
pub use seams::offline::{
    Claim, ClaimedMessage, MessageNumber, OFFLINE_PAGE_BYTES, OfflineError, OfflineLimits, OfflineMessage, OfflineStore,
};
pub use seams::peers::{Answerer, PeerAnswers, Peers};
pub use seams::presence::{PresenceChange, PresenceError, PresenceState, PresenceStore, UserPresence};
pub use seams::ticket::Ticket;
pub use seams::user_key::UserKey;
pub use sessions::{ChatSessions, SessionError};
pub use shard::connection_handle::ConnectionHandle;
pub use shard::outbox::Outbox;
pub use shard::transport::{Flushed, Transport};
pub use trace::report::{ConnectionReport, EventTrace, KeptReport, Outcome, TracedEvent};
