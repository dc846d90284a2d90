//! MySQL and MariaDB: one database of several nodes.

mod config;
mod connect;
mod dialect;
#[path = "../engine/mod.rs"]
mod engine;
mod line;
pub(crate) mod migrate;
mod payload;
mod sightings;
mod store;
mod timed;
mod url;

pub use config::{MySqlConfig, Tls};
pub use store::MySqlStore;
pub use url::BadUrl;
