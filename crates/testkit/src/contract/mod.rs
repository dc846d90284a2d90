//! Contract suites: every keeper of a seam is tried on every sentence of its promise.

pub mod chat;
pub mod directory;
pub mod ledger;
pub mod log;
pub mod offline;
mod webhook_rig;
