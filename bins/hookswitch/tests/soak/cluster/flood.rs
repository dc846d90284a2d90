//! Many events to many clients of three nodes, in a closed loop.

use futures_util::{StreamExt as _, stream};
use hookswitch_testkit::{RawSocket, RedisSpec};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{DEADLINE, connect, nodes};
use crate::stage::{my_turn, service};

const FLOOD: u64 = 20_000;
const OUTSTANDING: u64 = 64;
const CLIENTS_PER_NODE: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_events_reach_two_hundred_clients_of_each_of_three_nodes() {
    let _turn = my_turn().await;
    let redis = RedisSpec::new().start().await;
    let nodes = nodes(&redis.url(), 3).await;
    let mut readers = JoinSet::new();
    let mut progress = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let users = at * CLIENTS_PER_NODE..(at + 1) * CLIENTS_PER_NODE;
        let sockets: Vec<_> = stream::iter(users.map(|user| connect(node, user + 1))).buffered(20).collect().await;
        for socket in sockets {
            let (told, seen) = watch::channel(0);
            progress.push(seen);
            readers.spawn(read_numbers(socket, told));
        }
    }
    // The slowest of all clients closes the loop.
    let publisher = service(&nodes[0]);
    for n in 0..FLOOD {
        if n >= OUTSTANDING {
            for seen in &mut progress {
                let enough = seen.wait_for(|seen| *seen > n - OUTSTANDING);
                tokio::time::timeout(DEADLINE, enough).await.expect("the loop goes on").expect("a reader reads");
            }
        }
        publisher.publish(json!({"type": "call.incoming", "payload": {"n": n}})).await;
    }
    publisher.publish(json!({"type": "alert"})).await;
    let all = tokio::time::timeout(DEADLINE, readers.join_all()).await;
    assert_eq!(all.expect("everybody has everything").len(), 3 * CLIENTS_PER_NODE);
}

/// All numbers in order, nothing missing, nothing twice, then the marker.
async fn read_numbers(mut socket: RawSocket, told: watch::Sender<u64>) {
    for n in 0..FLOOD {
        let text = socket.read_text_within(DEADLINE).await;
        assert!(text.contains(&format!(r#""payload":{{"n":{n}}}"#)), "expected {n}: {text}");
        told.send_replace(n + 1);
    }
    let last = socket.read_text_within(DEADLINE).await;
    assert!(last.contains(r#""type":"alert""#), "once: {last}");
}
