//! SQLite: one file of one process.

mod connect;
mod dialect;
#[path = "../engine/mod.rs"]
mod engine;
mod file;
#[cfg(test)]
mod group_tests;
mod lock;
pub(crate) mod migrate;
mod offline_claim;
mod open;
mod recover;

pub use engine::Store;
