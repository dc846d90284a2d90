//! The payloads of the contract as structs.
//!
//! Fields that may be left out are left out when they are empty (`""`, 0, nobody); all others are
//! always present. Fields are public: start from `new`, which takes what identifies the thing, and
//! fill in the rest. [`Payload::from_serialize`](crate::Payload::from_serialize) prints them; fields
//! of a deployment's own go through a [`Payload`](crate::Payload) made from text.
//!
//! ```
//! use hookswitch_protocol::Payload;
//! use hookswitch_protocol::payloads::Call;
//!
//! let call = Call { caller_id: "+4930123".into(), destination: "100".into(), ..Call::new("1.2") };
//! let payload = Payload::from_serialize(&call)?;
//! assert_eq!(payload.as_str(), r#"{"unique_id":"1.2","caller_id":"+4930123","destination":"100"}"#);
//! # Ok::<(), hookswitch_protocol::InvalidPayload>(())
//! ```

mod agent;
mod call;
mod chat;
mod presence;
mod queue;
mod references;
mod system;
mod webhook;

pub use agent::{AVAILABLE, Agent, OFFLINE};
pub use call::{Call, INBOUND};
pub use chat::{ChatMessage, ChatSession, ChatTyping, NewChatMessage, VISITOR};
pub use presence::{PresenceCause, PresenceChanged, PresenceWord};
pub use queue::{QueueMember, QueueStats, queue_name};
pub use references::{MessageRef, NotificationRef, SessionRef};
pub use system::{Alert, ErrorNotice, Notification};
pub use webhook::WebhookDisabled;

use crate::UserId;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Nobody: absent, or the number 0, which is no user.
#[expect(clippy::ref_option, reason = "the shape serde asks for")]
fn is_nobody(user: &Option<UserId>) -> bool {
    user.as_ref().is_none_or(UserId::is_zero)
}
