//! Contract suites: every keeper of a seam is tried on every sentence of its promise.

pub mod chat;
pub mod offline;
