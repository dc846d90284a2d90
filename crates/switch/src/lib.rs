//! The switchboard: accepts one event and does everything it means, in order. The typed broadcaster
//! lives here.
//!
//! Knows nothing of sockets, SQL, tokens or routes. Joins the hub (who is connected) and the webhooks
//! (who must be informed), which do not know each other.
//!
//! ```
//! use hookswitch_hub::{Hub, HubBuilder, HubConfig};
//! use hookswitch_protocol::payloads::Call;
//! use hookswitch_protocol::{NodeId, TenantId};
//! use hookswitch_runtime::{Clock, Scope};
//! use hookswitch_switch::{Broadcaster, Switchboard, SwitchConfig};
//! use hookswitch_webhooks::{AddressPolicy, WebhookConfig, WebhookSeams, Webhooks};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (scope, clock) = (Scope::root("example"), Clock::system());
//! let (hub, _admission) = HubBuilder::in_memory(HubConfig::default(), clock.clone(), &scope).await?;
//! let (node, seams) = (NodeId::generate(clock.now()), WebhookSeams::memory(&clock));
//! let (config, policy) = (WebhookConfig::default(), AddressPolicy::strict());
//! let webhooks = Webhooks::start(config, policy, seams, node, clock.clone(), scope.clone()).await?;
//! let switch = Switchboard::new(SwitchConfig::default(), hub, webhooks, clock, scope.clone());
//! let broadcaster = Broadcaster::new(switch);
//! let call = Call { caller_id: "+4930123".into(), ..Call::new("1.2") };
//! broadcaster.call_incoming(&TenantId::parse("tenant-123")?, call).await?;
//! # scope.hard().cancel();
//! # Ok(())
//! # }
//! ```

mod acceptance;
mod affinity;
mod broadcaster;
mod checked;
mod context;
mod detached;
mod enqueue_steps;
mod error;
mod in_flight;
mod metrics;
mod prepared_batch;
mod sessions;
mod store_permits;
mod switchboard;
mod topics;
mod webhook_notices;

pub use broadcaster::Broadcaster;
pub use error::AcceptError;
pub use metrics::SwitchMetrics;
pub use switchboard::{SwitchConfig, Switchboard};
pub use topics::{Subscription, TopicEvent};
