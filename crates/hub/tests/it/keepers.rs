//! The memory keepers keep every sentence of their promises.

use std::sync::Arc;

use hookswitch_hub::memory::{MemoryBroker, MemoryChatSessions, MemoryHistory, MemoryOffline, MemoryPresence};
use hookswitch_testkit::contract;

#[tokio::test]
async fn broker() {
    let bus = async || MemoryBroker::alone();
    contract::broker::check(bus, async |bus, sink| Arc::new(bus.join(sink))).await;
}

#[tokio::test]
async fn presence() {
    contract::presence::check(async |clock| Arc::new(MemoryPresence::new(clock))).await;
}

#[tokio::test]
async fn offline() {
    contract::offline::check(async |limits, clock| MemoryOffline::new(limits, clock)).await;
    contract::offline::check_bytes(async |limits, clock| MemoryOffline::new(limits, clock)).await;
}

#[tokio::test]
async fn chat() {
    contract::chat::check(async || MemoryChatSessions::default()).await;
}

#[tokio::test]
async fn history() {
    contract::history::check(async || MemoryHistory::default()).await;
}
