//! What the hub asks of its keepers: events between nodes, presence, messages for absent users, chat sessions.

pub(crate) mod broker;
pub(crate) mod chat;
pub(crate) mod history;
pub(crate) mod offline;
pub(crate) mod peers;
pub(crate) mod presence;
pub(crate) mod ticket;
pub(crate) mod user_key;
