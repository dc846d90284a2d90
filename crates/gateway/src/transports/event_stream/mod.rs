//! Server-sent events: events as one HTTP answer that does not end, for networks that break a WebSocket.
//!
//! The gateway answers with the head of a [`Stream`]; then the HTTP server gives the socket away and the hub writes
//! to it, as it does to a WebSocket's.

mod answers;
mod hand_over;
mod reader;
mod wire_form;

pub(crate) use answers::{is_return, opened, refused};
pub(crate) use hand_over::{HandOver, Stream, Upcoming};
pub(crate) use wire_form::EventStreamForm;
