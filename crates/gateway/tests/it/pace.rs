//! How much one client may ask for, and what that does to others.
#![expect(clippy::disallowed_methods, reason = "tests run beside the node, outside its scopes")]

use std::time::{Duration, Instant};

use hookswitch_testkit::{PATIENCE, WsClient};
use serde_json::{Value, json};

use crate::rig::Rig;

async fn start(rig: &Rig, session: &str) {
    let payload = json!({"session_id": session});
    rig.service("tenant-1").publish(json!({"type": "chat.session.started", "payload": payload})).await;
}

/// What `/metrics` says of a counter.
async fn counted(rig: &Rig, name: &str) -> u64 {
    let page = rig.api().get("/metrics").await.text();
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{name} is not there")).parse().expect("a number")
}

/// The median of so many pings.
async fn round_trip(client: &mut WsClient) -> Duration {
    let mut took = Vec::new();
    for _ in 0..40 {
        let started = Instant::now();
        client.sync().await;
        took.push(started.elapsed());
    }
    took.sort_unstable();
    took[took.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_visitors_typing_little_and_few_a_second_reach_the_agents() {
    let rig = Rig::open().await;
    start(&rig, "s-1").await;
    let (mut visitor, mut agent) = (rig.visitor("s-1").await, rig.agent("tenant-1", 1).await);
    let started = Instant::now();
    let padding = "x".repeat(20_000);
    for n in 0..40 {
        let payload = json!({"session_id": "s-1", "sender_name": n.to_string(), "is_typing": true, "padding": padding});
        visitor.send_json(json!({"type": "chat.typing", "payload": payload})).await;
    }
    let mut got: Vec<Value> = Vec::new();
    while got.last().is_none_or(|last| last["payload"]["sender_name"] != "39") {
        got.push(agent.expect("chat.typing").await);
    }
    let n_earned = 5 + 5 * (started.elapsed().as_secs() as usize + 1);
    assert!(got.len() <= n_earned, "{} in {:?}", got.len(), started.elapsed());
    for event in &got {
        let fields: Vec<_> = event["payload"].as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(fields, ["is_typing", "sender_name", "sender_type", "session_id"]);
        assert_eq!(event["payload"]["sender_type"], "visitor");
    }
    let told = visitor.expect_error("rate_limited").await;
    assert!(told.contains("5 a second"), "{told}");
    assert!(counted(&rig, "hookswitch_typing_superseded_total").await > 0);
    visitor.sync().await;
    let payload = json!({"session_id": "s-1", "sender_name": "x".repeat(257)});
    visitor.send_json(json!({"type": "chat.typing", "payload": payload})).await;
    let told = visitor.expect_error("too_large").await;
    assert!(told.contains("sender_name") && told.contains("256"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_come_too_fast_are_read_later_and_none_is_lost() {
    let rig = Rig::open().await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let started = Instant::now();
    for _ in 0..1_200 {
        agent.send_json(json!({"type": "ping"})).await;
    }
    let (mut n_pongs, mut n_told) = (0, 0);
    while n_pongs < 1_200 {
        let event = agent.next_event(PATIENCE).await;
        if event["type"] == "pong" {
            n_pongs += 1;
        } else {
            assert_eq!(event["payload"]["code"], "rate_limited", "{event}");
            n_told += 1;
        }
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(750), "1,000 at once, the rest 200 a second: {took:?}");
    assert!((1..=took.as_secs() + 1).contains(&n_told), "told once a second: {n_told} times in {took:?}");
    assert!(counted(&rig, "hookswitch_commands_slowed_total").await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_subscriptions_leaves_others_alone() {
    let rig = Rig::with(|_, hub| hub.shards = 1).await;
    let mut neighbour = rig.agent("tenant-2", 1).await;
    let before = round_trip(&mut neighbour).await;
    let mut flooding = rig.agent("tenant-1", 1).await;
    let names: Vec<String> = (0..256).map(|n| format!("type.{n}.*")).collect();
    let flood = tokio::spawn(async move {
        for n in 0..2_000 {
            let command = ["subscribe", "unsubscribe"][n % 2];
            flooding.send_json(json!({"type": command, "payload": {"events": names}})).await;
        }
    });
    let beside = round_trip(&mut neighbour).await;
    flood.abort();
    assert!(beside <= before.mul_f64(1.5).max(Duration::from_millis(20)), "{beside:?}, {before:?} without");
    assert!(counted(&rig, "hookswitch_commands_slowed_total").await > 0, "it was slowed down");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_who_flood_leave_their_own_tenants_agents_alone() {
    const N_VISITORS: usize = 40;
    let rig = Rig::with(|_, hub| hub.shards = 1).await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let before = round_trip(&mut agent).await;
    let names: Vec<String> = (0..256).map(|n| format!("t{n}")).collect();
    let mut floods = Vec::new();
    for n in 0..N_VISITORS {
        start(&rig, &format!("s-{n}")).await;
        let (mut visitor, names) = (rig.visitor(&format!("s-{n}")).await, names.clone());
        floods.push(tokio::spawn(async move {
            for n in 0..14 {
                let command = ["subscribe", "unsubscribe"][n % 2];
                visitor.send_json(json!({"type": command, "payload": {"events": names}})).await;
            }
            // What they owe together takes longer than this to be paid; the sockets stay until then.
            visitor
        }));
    }
    for flood in floods.drain(..N_VISITORS / 2) {
        drop(flood.await);
    }
    let beside = round_trip(&mut agent).await;
    assert!(counted(&rig, "hookswitch_commands_slowed_total").await > 0, "the visitors were slowed down");
    assert!(beside <= before.mul_f64(1.5).max(Duration::from_millis(100)), "{beside:?}, {before:?} without");
    floods.iter().for_each(tokio::task::JoinHandle::abort);
}
