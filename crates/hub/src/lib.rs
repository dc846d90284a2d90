//! The hub: connections, subscriptions, shards, fan-out and the seams it needs.
//!
//! Knows nothing of sockets, Redis, SQL or HTTP. Embedders use it without the gateway:
//!
//! ```
//! use std::sync::Arc;
//! use hookswitch_hub::memory::MemoryOutlet;
//! use hookswitch_hub::{Attachment, Clearance, Hub, HubConfig, Occupant, Publication};
//! use hookswitch_protocol::{Event, EventId, EventType, Payload, TenantId, UserId};
//! use hookswitch_runtime::{Clock, Scope};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (scope, clock) = (Scope::root("example"), Clock::system());
//! let (hub, door) = Hub::in_memory::<MemoryOutlet>(HubConfig::default(), clock.clone(), &scope).await?;
//! let tenant = TenantId::parse("tenant-123")?;
//! let occupant = Occupant::User(UserId::from(456));
//! let who = Attachment { tenant: tenant.clone(), occupant, clearance: Clearance::Standard, expires_at: None };
//! let (ticket, mut inbox) = MemoryOutlet::pair(16);
//! door.attach(who).await?.open(ticket).await;
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

mod affinity;
mod attachment;
mod broker;
mod census;
mod chat;
mod chunk;
mod config;
mod connection;
mod counters;
mod courier;
mod door;
mod errands;
mod error;
mod fanout;
pub mod frame;
mod gaps;
mod hub;
mod intake;
mod interest;
mod line;
mod listening;
mod meeting;
pub mod memory;
mod offline;
mod outbox;
mod outlet;
mod presence;
mod roster;
mod seam;
mod sessions;
mod shard;
mod share;
mod shared;
mod start;
mod tenant;

pub use affinity::ShardId;
pub use attachment::{Attachment, Clearance, Occupant};
pub use broker::{Broker, BrokerError, BrokerSink, GapScope, Origin, Publication, Received};
pub use chat::{ChatSession, ChatSessionError, ChatSessionStore, SessionStart, SharedChatSessions};
pub use config::HubConfig;
pub use counters::HubCounters;
pub use courier::BacklogNotice;
pub use door::{Berth, Door};
pub use error::HubError;
pub use fanout::Reservation;
pub use hub::{Hub, Whereabouts};
pub use line::{Line, TooManyNames};
pub use offline::{Claim, ClaimedMessage, MessageNumber, OfflineError, OfflineLimits, OfflineMessage, OfflineStore};
pub use outbox::Outbox;
pub use outlet::{Flushed, Outlet};
pub use presence::{PresenceChange, PresenceError, PresenceState, PresenceStore, UserPresence};
pub use seam::{BoxFuture, UserKey};
pub use sessions::{ChatSessions, SessionError};
pub use start::{Prepared, Seams, StartError};
