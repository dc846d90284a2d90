//! The suites every keeper must pass, on SQLite.

use std::cell::RefCell;
use std::sync::Arc;

use hookswitch_hub::OfflineLimits;
use hookswitch_runtime::Clock;
use hookswitch_store::Store;
use hookswitch_testkit::contract;
use hookswitch_webhooks::WebhookSeams;

use crate::rig::{Opened, Rig, open_with};

/// Opens stores and keeps their files until the suite is through.
#[derive(Default)]
struct Files(RefCell<Vec<(Rig, Opened)>>);

impl Files {
    async fn open(&self, offline: OfflineLimits, clock: Clock) -> Store {
        let rig = Rig::new();
        let opened = open_with(rig.config(), offline, clock).await.expect("opens");
        let store = opened.store.clone();
        self.0.borrow_mut().push((rig, opened));
        store
    }
}

#[tokio::test]
async fn offline_messages() {
    let files = Files::default();
    contract::offline::check(async |offline, clock| files.open(offline, clock).await).await;
    contract::offline::check_bytes(async |offline, clock| files.open(offline, clock).await).await;
}

#[tokio::test]
async fn chat_sessions() {
    let files = Files::default();
    contract::chat::check(async || files.open(OfflineLimits::default(), Clock::system()).await).await;
}

#[tokio::test]
async fn history() {
    let files = Files::default();
    contract::history::check(async || files.open(OfflineLimits::default(), Clock::system()).await).await;
}

async fn seams(files: &Files, clock: Clock) -> WebhookSeams {
    let store = Arc::new(files.open(OfflineLimits::default(), clock).await);
    WebhookSeams { directory: store.clone(), ledger: store.clone(), log: store }
}

#[tokio::test]
async fn webhook_directory() {
    let files = Files::default();
    contract::directory::check(async |clock| seams(&files, clock).await).await;
}

#[tokio::test]
async fn delivery_ledger() {
    let files = Files::default();
    contract::ledger::check(async |clock| seams(&files, clock).await).await;
}

#[tokio::test]
async fn attempt_log() {
    let files = Files::default();
    contract::log::check(async |clock| seams(&files, clock).await).await;
}
