//! The hub: connections, subscriptions, shards and fan-out.

mod broker;
mod chat;
mod offline;
mod presence;
mod seam;

pub use broker::{Broker, BrokerError, BrokerSink, GapScope};
pub use chat::{ChatSession, ChatSessionError, ChatSessionStore, SessionStart};
pub use offline::{Claim, ClaimedMessage, MessageNumber, OfflineError, OfflineLimits, OfflineMessage, OfflineStore};
pub use presence::{PresenceError, PresenceState, PresenceStore, UserPresence};
pub use seam::{BoxFuture, UserKey};
