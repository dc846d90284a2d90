//! A database of one's own on a server of one's own.

use std::time::Duration;

use hookswitch_hub::OfflineLimits;
use hookswitch_runtime::{Clock, Scope};
use hookswitch_store::{MySqlConfig, MySqlStore, StoreError};
use hookswitch_testkit::{MariaDb, MariaDbServer};

/// An open store with the scope it lives in.
pub(crate) struct Opened {
    pub(crate) store: MySqlStore,
    pub(crate) scope: Scope,
}

impl Opened {
    /// Closes it properly.
    pub(crate) async fn close(self) {
        assert!(self.scope.shut_down(Duration::from_secs(10)).await, "the store ends by itself");
    }
}

/// Settings that make the schema.
pub(crate) fn config(database: &MariaDb) -> MySqlConfig {
    MySqlConfig { migrates: true, ..MySqlConfig::parse_url(&database.url()).expect("a URL") }
}

pub(crate) async fn open(config: MySqlConfig, clock: Clock) -> Result<Opened, StoreError> {
    open_with(config, OfflineLimits::default(), clock).await
}

/// The same with these bounds of offline messages.
pub(crate) async fn open_with(config: MySqlConfig, offline: OfflineLimits, clock: Clock) -> Result<Opened, StoreError> {
    let scope = Scope::root("store");
    let store = MySqlStore::open(config, offline, clock, &scope).await?;
    Ok(Opened { store, scope })
}

/// A server with one database and a store on it.
pub(crate) struct Rig {
    // Ends before its server does.
    pub(crate) opened: Opened,
    pub(crate) database: MariaDb,
    pub(crate) server: MariaDbServer,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let server = MariaDbServer::start().await;
        let database = server.create_database().await;
        let opened = open(config(&database), Clock::system()).await.expect("opens");
        Self { opened, database, server }
    }

    pub(crate) fn store(&self) -> &MySqlStore {
        &self.opened.store
    }

    /// Another node on the same database.
    pub(crate) async fn another(&self) -> Opened {
        open(config(&self.database), Clock::system()).await.expect("opens")
    }
}
