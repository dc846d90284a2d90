//! Contract suites: every keeper of a seam is tried on every sentence of its promise.

pub mod broker;
pub mod chat;
pub mod directory;
pub mod ledger;
pub mod log;
pub mod offline;
pub mod presence;
pub mod terms;
mod webhook_rig;
