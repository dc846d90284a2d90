//! The memory keeper keeps every sentence of the three promises.

use hookswitch_runtime::Clock;
use hookswitch_testkit::contract;
use hookswitch_webhooks::WebhookSeams;

async fn memory(clock: Clock) -> WebhookSeams {
    WebhookSeams::memory(&clock)
}

#[tokio::test]
async fn memory_keeps_the_directory_promise() {
    contract::directory::check(memory).await;
}

#[tokio::test]
async fn memory_keeps_the_ledger_promise() {
    contract::ledger::check(memory).await;
}

#[tokio::test]
async fn memory_keeps_the_log_promise() {
    contract::log::check(memory).await;
}
