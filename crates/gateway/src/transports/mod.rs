//! The ways by which connections of the hub are served, a folder for each.

mod arrival;
pub(crate) mod event_stream;
mod subscription;
mod tcp;
pub(crate) mod websocket;

pub(crate) use subscription::{last_event, resume, subscription};
pub(crate) use tcp::{SocketContext, TokenCheck};
