//! From an HTTP request to a WebSocket: the checks of the handshake and the hand-over of the socket.

mod handover;
mod handshake;
mod origin;

pub(crate) use handover::{HandOver, hand_over};
pub(crate) use handshake::{Handshake, switching_protocols};
pub use origin::{AllowedOrigins, InvalidOrigin};
