//! Contract suites: every keeper of a seam is tried on every sentence of its promise.

pub mod broker;
pub mod chat;
pub mod directory;
pub mod history;
pub mod ledger;
pub mod ledger_schedule;
mod ledger_verdicts;
pub mod log;
mod log_windows;
pub mod offline;
pub mod presence;
mod webhook_rig;
