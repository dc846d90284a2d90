//! The door from outside: real sockets and clients, memory keepers behind it.

mod event_source;
mod rig;

mod compression;
mod connection_caps;
mod console;
mod drain;
mod early_answers;
mod embedding;
mod event_streams;
mod event_streams_end;
mod frames;
mod http;
mod nodes;
mod origins;
mod pace;
mod past_events;
mod refused_upgrades;
mod relocation;
mod sessions;
mod shares;
mod sockets;
mod tenant_limit;
mod traces;
mod webhook_care;
mod webhook_options;
mod webhooks;
