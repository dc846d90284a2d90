//! Two hundred receivers whose answers never end cost a bounded amount of memory and end by their deadline.

use std::time::Duration;

use hookswitch_testkit::{Behaviour, NodeProcess, Receiver, eventually};
use serde_json::json;

use super::register;
use crate::stage::{my_turn, service, spec};

const RECEIVERS: usize = 200;
const ROUNDS: usize = 10;
const TIMEOUT_SECS: u64 = 5;
const ALLOWED_GROWTH: u64 = 64 * 1024 * 1024;
/// One attempt's deadline, and room for two hundred at once on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_endless_answers_leave_memory_flat() {
    let _turn = my_turn().await;
    let node = spec().start().await;
    let api = service(&node);
    let mut receivers = Vec::new();
    for _ in 0..RECEIVERS {
        let receiver = Receiver::start([Behaviour::EndlessBody]).await;
        register(&api, &receiver.url("/"), &["soak.endless"], json!({"timeout": TIMEOUT_SECS})).await;
        receivers.push(receiver);
    }
    // The first round fills pools and caches, which stay.
    api.publish(json!({"type": "soak.endless"})).await;
    ended(&node, RECEIVERS).await;
    let before = node.resident_bytes();
    for round in 2..=ROUNDS {
        api.publish(json!({"type": "soak.endless"})).await;
        ended(&node, RECEIVERS * round).await;
        let grown = node.resident_bytes().saturating_sub(before);
        assert!(grown < ALLOWED_GROWTH, "{grown} bytes more after {round} rounds");
    }
}

/// Waits until so many attempts have ended, the body's end or not: the status was good.
async fn ended(node: &NodeProcess, n_attempts: usize) {
    eventually("every attempt ends by its deadline", DEADLINE, || async {
        let metrics = node.api().get("/metrics").await.text();
        let delivered = metrics.lines().find_map(|line| line.strip_prefix("hookswitch_deliveries_done_total "));
        delivered.and_then(|n| n.parse::<f64>().ok()).is_some_and(|n| n as usize >= n_attempts)
    })
    .await;
}
