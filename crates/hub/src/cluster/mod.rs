//! What other nodes send and are told: their events, gaps in these, and this node's users.

pub(crate) mod balance;
pub(crate) mod gap_notices;
pub(crate) mod inbound;
pub(crate) mod inbound_jobs;
pub(crate) mod presence_notices;
pub(crate) mod presence_sync;
pub(crate) mod questions;
pub(crate) mod recovering;
