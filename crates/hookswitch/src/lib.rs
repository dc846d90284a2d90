//! Hookswitch for embedders: the broadcaster, the builder and the pieces they assemble.
//!
//! Knows nothing of configuration files, environment variables or signals; those are the binary's.
//!
//! ```
//! use std::time::Duration;
//! use hookswitch::payloads::Call;
//! use hookswitch::{Switch, TenantId};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let switch = Switch::builder().start().await?;
//! let tenant = TenantId::parse("tenant-123")?;
//! let call = Call { caller_id: "+4930123".into(), ..Call::new("1729866000.17") };
//! switch.broadcaster().call_incoming(&tenant, call).await?;
//! switch.shut_down(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! Features: `gateway`, HTTP and WebSocket; `redis`, several nodes; `sqlite`, the embedded
//! store, and `mysql`, one that several nodes share. Without a store webhooks, messages for absent
//! users and chat sessions end with the process.

/// What README says compiles as it is printed.
#[cfg(all(doctest, feature = "gateway"))]
#[doc = include_str!("../../../README.md")]
mod readme {}

mod builder;
#[cfg(all(feature = "gateway", feature = "redis"))]
mod cluster;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod database;
mod error;
#[cfg(feature = "gateway")]
mod gateway_part;
mod keepers;
mod node;
mod scopes;

pub use builder::SwitchBuilder;
pub use error::StartError;
pub use node::Switch;

#[cfg(feature = "gateway")]
pub use hookswitch_gateway as gateway;
pub use hookswitch_hub as hub;
pub use hookswitch_protocol as protocol;
pub use hookswitch_protocol::payloads;
pub use hookswitch_protocol::{
    ErrorCode, Event, EventId, EventType, NewEvent, NodeId, Payload, Retry, Secret, SessionKey, TenantId, Timestamp,
    Topic, UserId, WebhookId,
};
#[cfg(feature = "redis")]
pub use hookswitch_redis as redis;
pub use hookswitch_runtime as runtime;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub use hookswitch_store as store;
pub use hookswitch_switch as switchboard;
pub use hookswitch_switch::{AcceptError, Broadcaster, Subscription, SwitchConfig, TopicEvent};
pub use hookswitch_webhooks as webhooks;
