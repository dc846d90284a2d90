//! Between nodes: publications, presence, offline messages and chat sessions over Redis.
//!
//! Knows nothing of sockets, sessions of clients, SQL or HTTP. Keeps four promises of
//! `hookswitch_hub`: [`Broker`](hookswitch_hub::Broker) (live delivery, at most once, gaps told),
//! [`PresenceStore`](hookswitch_hub::PresenceStore) (a user goes offline no later than a lease after
//! the last node that held him), [`OfflineStore`](hookswitch_hub::OfflineStore) and
//! [`ChatSessionStore`](hookswitch_hub::ChatSessionStore).
//! A lagging or reconnected subscriber is told through `BrokerSink::on_gap`, never hidden.
//!
//! One Redis, Redis Cluster and Redis Sentinel; every script touches one slot.
//!
//! ```no_run
//! use std::sync::Arc;
//! use hookswitch_hub::{BrokerSink, OfflineLimits};
//! use hookswitch_protocol::NodeId;
//! use hookswitch_redis::{RedisConfig, RedisKeepers};
//! use hookswitch_runtime::{Clock, Scope};
//!
//! # async fn start(sink: Arc<dyn BrokerSink>) -> Result<(), Box<dyn std::error::Error>> {
//! let (clock, scope) = (Clock::system(), Scope::root("redis"));
//! let config = RedisConfig::parse_url("redis://127.0.0.1:6379")?;
//! let node = NodeId::generate(clock.now());
//! let keepers = RedisKeepers::start(config, node, OfflineLimits::default(), sink, clock, scope).await?;
//! keepers.link.check().map_err(|problem| problem.to_string())?;
//! # Ok(())
//! # }
//! ```

mod broker;
mod chat;
mod config;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[doc(hidden)]
pub mod history;
mod keepers;
mod keys;
mod link;
mod metrics;
mod node_lease;
mod offline;
mod peers;
mod presence;
mod script;

pub use broker::RedisBroker;
pub use chat::RedisChatSessions;
pub use config::url::InvalidRedisUrl;
pub use config::{HostPort, RedisConfig, Tls, Topology};
pub use history::StreamLimits;
pub use keepers::RedisKeepers;
pub use link::Link;
pub use link::clients::RedisSetupError;
pub use metrics::{BrokerMetrics, ChatMetrics, LinkMetrics, OfflineMetrics, PresenceMetrics};
pub use node_lease::NodeLease;
pub use offline::RedisOffline;
pub use peers::RedisPeers;
pub use presence::RedisPresence;
