//! A WebSocket: the handshake, then a writing end for the hub and a reading task for the client, both on
//! the connection's shard.

mod command_handler;
mod deflate;
mod extension;
mod frame_head;
mod frame_scan;
mod handover;
mod handshake;
mod inflate;
mod pace;
mod reader;
mod refusal;
mod renewal;
mod stream_adapter;
mod transport;
mod typing;
mod wire_form;

pub(crate) use command_handler::CommandHandler;
pub(crate) use deflate::DeflateForm;
#[cfg(feature = "fuzzing")]
pub(crate) use frame_scan::FrameScan;
pub(crate) use handover::{HandOver, hand_over};
pub(crate) use handshake::{Compression, Handshake, switching_protocols};
#[cfg(feature = "fuzzing")]
pub(crate) use inflate::Inflater;
pub(crate) use refusal::{Refusal, close_of};
pub(crate) use renewal::Holder;
pub(crate) use wire_form::WebSocketForm;
