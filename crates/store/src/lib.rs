//! What survives a restart: schema, queries and migrations over SQLite and MySQL/MariaDB, with group-committing writers.
//!
//! Knows nothing of sockets, HTTP or what an event means. Keeps six promises made elsewhere: of
//! `hookswitch_webhooks` the directory of registrations, the delivery ledger and the attempt log; of
//! `hookswitch_hub` the offline messages, the chat sessions and the recent history that a node saves as it ends. What a call returned from is on disk
//! and survives a power cut.
//!
//! ```
//! use hookswitch_hub::OfflineLimits;
//! use hookswitch_protocol::TenantId;
//! use hookswitch_runtime::{Clock, Scope};
//! use hookswitch_store::{Store, StoreConfig};
//! use hookswitch_webhooks::{Page, WebhookDirectory as _};
//!
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! // The store's own scope: shut it down after everything that still wants to write.
//! let scope = Scope::root("store");
//! let store = Store::open(StoreConfig::new("hookswitch.db"), OfflineLimits::default(), Clock::system(), &scope).await?;
//! let mine = store.list(&TenantId::parse("tenant-123")?, Page::first(20)).await?;
//! assert_eq!(mine.total, 0);
//! scope.shut_down(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```

#![cfg_attr(
    feature = "mysql",
    expect(clippy::duplicate_mod, reason = "the engine is compiled once per database, see its own page")
)]

mod config;
mod error;
mod metrics;

pub mod migrations;
#[cfg(feature = "mysql")]
mod mysql;
mod sqlite;

mod backlog;
mod ended_nodes;
mod literals;
mod offline_claim;
mod schema;
mod schema_steps;
mod secret_keys;
mod step_size;
mod time;
mod webhook_columns;
mod weight;

pub use config::StoreConfig;
pub use ended_nodes::EndedNodes;
pub use error::StoreError;
pub use metrics::StoreMetrics;
#[cfg(feature = "mysql")]
pub use mysql::{BadUrl, MySqlConfig, MySqlStore, Tls};
pub use secret_keys::{BadSecretKey, SecretKeys};
pub use sqlite::Store;
