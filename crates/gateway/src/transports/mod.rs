//! The ways by which connections of the hub are served, a folder for each.

pub(crate) mod websocket;
