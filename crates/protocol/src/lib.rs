//! The words: ids, event types, payloads, the envelope, client commands, error and close codes.
//!
//! Plain data. Knows nothing of clocks, async, sockets, SQL or HTTP.
//!
//! ```
//! use hookswitch_protocol::{Event, EventId, EventType, Payload, TenantId, Timestamp};
//!
//! let event = Event {
//!     id: EventId::parse("evt-1")?,
//!     event_type: EventType::CALL_INCOMING,
//!     tenant: TenantId::parse("tenant-123")?,
//!     user: None,
//!     session: None,
//!     topic: None,
//!     payload: Payload::parse(r#"{"unique_id":"1.2"}"#)?,
//!     timestamp: Timestamp::from_millis(0),
//! };
//! assert!(event.encode().starts_with(br#"{"type":"call.incoming","payload":{"unique_id":"1.2"},"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audience;
#[cfg(feature = "schema")]
pub mod catalogue;
mod chain;
mod clip;
mod codes;
mod command;
mod event;
mod event_type;
mod ids;
pub mod json;
pub mod limits;
mod name;
mod payload;
pub mod payloads;
mod position;
mod retry;
#[cfg(feature = "schema")]
mod schema;
mod secret;
mod session_names;
mod timestamp;
mod user_id;

pub use audience::audience_of;
pub use chain::Chain;
pub use clip::clipped;
pub use codes::{CloseCode, ErrorCode, Reconnect};
pub use command::{Command, CommandError, ResumeCommand, SubscribeCommand, TypingCommand};
pub use event::{Event, NewEvent, control_message, error_message, positioned_message};
pub use event_type::{Category, EventType};
pub use ids::{ConnectionId, DeliveryId, EventId, InvalidId, NodeId, SessionKey, TenantId, Topic, WebhookId};
pub use name::SubscriptionName;
pub use payload::{InvalidPayload, Payload};
pub use position::{InvalidPosition, Position};
pub use retry::Retry;
pub use secret::Secret;
pub use session_names::{NamedSession, SessionName, SessionNames, with_session_id};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use user_id::UserId;
