//! A memory keeper of each seam: for a node on its own, for embedders, for tests.

mod broker;
mod chat;
mod history;
mod offline;
mod peers;
mod presence;
mod transport;

pub use broker::MemoryBroker;
pub use chat::MemoryChatSessions;
pub use history::MemoryHistory;
pub use offline::MemoryOffline;
pub use peers::NoPeers;
pub use presence::MemoryPresence;
pub use transport::{Inbox, MemoryTransport};
