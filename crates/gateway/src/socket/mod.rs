//! One WebSocket on its shard's thread: a writing end for the hub, a reading task for the client.

mod outlet;
mod reader;
mod scan;
mod session;
mod shim;
mod tcp;
mod typing;

pub use outlet::{SocketTicket, TcpOutlet};
pub(crate) use session::Session;
pub(crate) use tcp::SocketContext;
