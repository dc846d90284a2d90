//! MySQL and MariaDB: one database of several nodes.

mod config;
mod connect;
mod dialect;
#[path = "../engine/mod.rs"]
mod engine;
mod interrupt;
pub(crate) mod migrate;
mod node_liveness;
mod offline_claim;
mod open;
mod payload;
mod row_numbers;
mod timed;
mod url;

pub use config::{MySqlConfig, Tls};
pub use engine::Store as MySqlStore;
pub use url::BadUrl;
