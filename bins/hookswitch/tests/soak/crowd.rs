//! Ten thousand connections on one node: all get everything, in order, once.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookswitch_testkit::{RawSocket, eventually};
use serde_json::json;
use tokio::task::JoinSet;

use crate::stage::{agent_token, my_turn, service, spec};

const CONNECTIONS: usize = 10_000;
const EVENTS: usize = 100;
const CONNECTING_AT_ONCE: usize = 100;
const DEADLINE: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_get_a_hundred_events_in_order_and_once() {
    let _turn = my_turn().await;
    need_descriptors(CONNECTIONS + 1_000);
    let node = spec().start().await;
    let connect = |user| {
        let (addr, token) = (node.addr().to_owned(), agent_token(&node, user));
        async move {
            let mut socket = RawSocket::connect(&addr).await;
            socket.upgrade("/ws", &token).await;
            socket
        }
    };
    let sockets: Vec<_> =
        stream::iter(1..=CONNECTIONS).map(connect).buffer_unordered(CONNECTING_AT_ONCE).collect().await;
    let service = service(&node);
    eventually("all are counted", DEADLINE, || async {
        service.get("/ws/stats").await.json()["total_connections"] == CONNECTIONS
    })
    .await;

    let mut readers = JoinSet::new();
    for socket in sockets {
        readers.spawn(read_in_order(socket));
    }
    for n in 0..EVENTS {
        service.publish(json!({"type": "queue.stats", "payload": {"n": n}})).await;
    }
    service.publish(json!({"type": "alert"})).await;
    let all = tokio::time::timeout(DEADLINE, readers.join_all()).await;
    assert_eq!(all.expect("everybody has everything in time").len(), CONNECTIONS);
}

/// The hundred events and then the marker, nothing missing, nothing twice.
async fn read_in_order(mut socket: RawSocket) {
    for n in 0..EVENTS {
        let text = socket.read_text_within(DEADLINE).await;
        assert!(text.contains(&format!(r#""payload":{{"n":{n}}}"#)), "expected {n}: {text}");
    }
    let last = socket.read_text_within(DEADLINE).await;
    assert!(last.contains(r#""type":"alert""#), "once: {last}");
}

fn need_descriptors(needed: usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit");
    let soft = line.split_whitespace().next().expect("a number");
    let enough = soft == "unlimited" || soft.parse::<usize>().is_ok_and(|n| n >= needed);
    assert!(enough, "{soft} open files are too few for this check: run it after `ulimit -n {needed}`");
}
