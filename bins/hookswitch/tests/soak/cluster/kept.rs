//! Messages of a user who is cut off again and again while they are brought.

use std::collections::HashMap;

use hookswitch_testkit::{RedisSpec, WsRequest};
use serde_json::{Value, json};

use super::{DEADLINE, connect, nodes};
use crate::stage::{agent_token, my_turn, service};

const KEPT: u64 = 5_000;
const CUTS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_kept_messages_survive_twenty_cuts() {
    let _turn = my_turn().await;
    let redis = RedisSpec::new().start().await;
    let nodes = nodes(&redis.url(), 2).await;
    let publisher = service(&nodes[0]);
    for page in 0..KEPT / 100 {
        let event = |n| json!({"type": "notification", "user_id": 456, "payload": {"n": n}});
        let events: Vec<Value> = (page * 100..(page + 1) * 100).map(event).collect();
        publisher.publish(json!({"events": events})).await;
    }
    let mut got: Vec<Kept> = Vec::new();
    for cut in 0..CUTS {
        let node = &nodes[cut % 2];
        let mut socket = connect(node, 456).await;
        // Cut after some messages: without a close, in the middle of whatever is on its way.
        for _ in 0..(cut * 7919) % 331 {
            got.push(Kept::read(&socket.read_text_within(DEADLINE).await));
        }
        drop(socket);
    }
    let token = agent_token(&nodes[0], 456);
    let mut last = WsRequest::new(nodes[0].addr(), "/ws").bearer(&token).open().await;
    while !got.iter().any(|kept| kept.n == KEPT - 1) {
        got.push(Kept::of(&last.next_event(DEADLINE).await));
    }
    check_order(&got);
    println!("{} deliveries of {KEPT} messages over {CUTS} cuts", got.len());
}

/// One message as the client had it.
struct Kept {
    n: u64,
    id: String,
}

impl Kept {
    fn read(text: &str) -> Self {
        Self::of(&serde_json::from_str(text).expect("one JSON object"))
    }

    fn of(event: &Value) -> Self {
        let n = event["payload"]["n"].as_u64().unwrap_or_else(|| panic!("no kept message: {event}"));
        Self { n, id: event["id"].as_str().expect("an id").to_owned() }
    }
}

/// All there; each first arrival in order; what came twice has the same id.
fn check_order(got: &[Kept]) {
    let mut ids = HashMap::new();
    let mut next = 0;
    for Kept { n, id } in got {
        assert_eq!(ids.entry(*n).or_insert_with(|| id.clone()), id, "{n} came under two ids");
        if *n == next {
            next += 1;
        }
        assert!(*n < next, "{n} came before {next}");
    }
    assert_eq!(next, KEPT, "all arrived");
}
