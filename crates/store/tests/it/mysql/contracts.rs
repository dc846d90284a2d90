//! The suites every keeper must pass, on MariaDB: one server, a database per suite and sentence.

use std::cell::RefCell;
use std::sync::Arc;

use hookswitch_hub::OfflineLimits;
use hookswitch_runtime::Clock;
use hookswitch_store::MySqlStore;
use hookswitch_testkit::{MariaDbServer, contract};
use hookswitch_webhooks::WebhookSeams;

use super::rig::{Opened, config, open_with};

/// Opens stores and keeps them until the suite is through.
struct Databases {
    server: MariaDbServer,
    opened: RefCell<Vec<Opened>>,
}

impl Databases {
    async fn start() -> Self {
        Self { server: MariaDbServer::start().await, opened: RefCell::default() }
    }

    async fn open(&self, offline: OfflineLimits, clock: Clock) -> MySqlStore {
        let database = self.server.create_database().await;
        let opened = open_with(config(&database), offline, clock).await.expect("opens");
        let store = opened.store.clone();
        self.opened.borrow_mut().push(opened);
        store
    }

    async fn seams(&self, clock: Clock) -> WebhookSeams {
        let store = Arc::new(self.open(OfflineLimits::default(), clock).await);
        WebhookSeams { directory: store.clone(), ledger: store.clone(), log: store }
    }
}

#[tokio::test]
async fn offline_messages() {
    let databases = Databases::start().await;
    contract::offline::check(async |offline, clock| databases.open(offline, clock).await).await;
    contract::offline::check_bytes(async |offline, clock| databases.open(offline, clock).await).await;
}

#[tokio::test]
async fn chat_sessions() {
    let databases = Databases::start().await;
    contract::chat::check(async || databases.open(OfflineLimits::default(), Clock::system()).await).await;
}

#[tokio::test]
async fn history() {
    let databases = Databases::start().await;
    contract::history::check(async || databases.open(OfflineLimits::default(), Clock::system()).await).await;
}

#[tokio::test]
async fn webhook_directory() {
    let databases = Databases::start().await;
    contract::directory::check(async |clock| databases.seams(clock).await).await;
}

#[tokio::test]
async fn delivery_ledger() {
    let databases = Databases::start().await;
    contract::ledger::check(async |clock| databases.seams(clock).await).await;
}

#[tokio::test]
async fn attempt_log() {
    let databases = Databases::start().await;
    contract::log::check(async |clock| databases.seams(clock).await).await;
}

#[tokio::test]
async fn what_a_dead_node_holds_goes_to_others() {
    let databases = Databases::start().await;
    contract::ledger_schedule::check_takeover(async |clock| databases.seams(clock).await).await;
}
