//! One WebSocket on its shard's thread: a writing end for the hub, a reading task for the client.

mod command_handler;
mod reader;
mod scan;
mod stream_adapter;
mod tcp;
mod transport;
mod typing;

pub(crate) use command_handler::CommandHandler;
pub(crate) use tcp::SocketContext;
pub use transport::{AcceptedSocket, WebSocketTransport};
