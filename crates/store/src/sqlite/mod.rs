//! SQLite: one file of one process.

mod connect;
mod dialect;
#[path = "../engine/mod.rs"]
mod engine;
mod file;
#[cfg(test)]
mod group_tests;
mod interrupt;
mod lock;
pub(crate) mod migrate;
mod offline_claim;
mod open;
#[cfg(test)]
mod reader_tests;
mod recover;

pub use engine::Store;
