//! Messages for users who are away from every node.

use serde_json::json;

use super::{Cluster, numbers, until_online};
use crate::stage::{TENANT, event_for};

#[tokio::test]
async fn what_was_kept_at_one_node_comes_first_at_another_oldest_first() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let list = format!("callcenter:offline:{TENANT}:456");
    for n in 0..5 {
        here.service().publish(json!({"type": "notification", "user_id": 456, "payload": {"n": n}})).await;
    }
    assert_eq!(cluster.redis.cli(&["LLEN", &list]).await, "5");
    let newest = cluster.redis.cli(&["LRANGE", &list, "0", "0"]).await;
    assert!(newest.contains(r#""payload":{"n":4}"#), "newest first: {newest}");
    let mut client = there.agent(456).await;
    here.service().publish(json!({"type": "notification", "user_id": 456, "payload": {"n": 5}})).await;
    assert_eq!(numbers(&mut client, 6).await, [0, 1, 2, 3, 4, 5]);
    client.expect_silence().await;
    hookswitch_testkit::eventually("nothing waits any more", hookswitch_testkit::PATIENCE, async || {
        cluster.redis.cli(&["LLEN", &list]).await == "0"
    })
    .await;
}

#[tokio::test]
async fn foreign_programs_may_leave_messages_too() {
    let cluster = Cluster::start(1).await;
    let list = format!("callcenter:offline:{TENANT}:456");
    cluster.redis.cli(&["LPUSH", &list, r#"{"type":"notification","payload":{"n":1}}"#]).await;
    cluster.redis.cli(&["LPUSH", &list, r#"{"type":"notification","payload":{"n":2}}"#]).await;
    let mut client = cluster.nodes[0].agent(456).await;
    let first = client.expect("notification").await;
    assert_eq!(
        (&first["payload"]["n"], &first["tenant_id"], &first["user_id"]),
        (&json!(1), &json!(TENANT), &json!(456))
    );
    assert!(first["timestamp"].is_string());
    assert_eq!(client.expect("notification").await["payload"]["n"], 2);
}

#[tokio::test]
async fn nothing_is_kept_for_who_is_at_another_node() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let mut client = there.agent(456).await;
    here.service().publish(event_for(456, "notification")).await;
    client.expect("notification").await;
    client.close().await;
    until_online(&cluster.nodes, 456, 0).await;
    let mut again = there.agent(456).await;
    again.expect_silence().await;
}

#[tokio::test]
async fn a_user_who_moves_between_nodes_misses_nothing() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let publishing = async {
        for n in 0..300 {
            here.service().publish(json!({"type": "notification", "user_id": 456, "payload": {"n": n}})).await;
        }
    };
    let moving = async {
        let mut got = Vec::new();
        for turn in 0..20 {
            let node = if turn % 2 == 0 { there } else { here };
            let mut client = node.agent(456).await;
            for event in client.sync().await.into_iter().chain(client.close().await) {
                got.extend(event["payload"]["n"].as_u64());
            }
        }
        got
    };
    let ((), mut got) = tokio::join!(publishing, moving);
    let mut last = there.agent(456).await;
    loop {
        let Ok(event) = tokio::time::timeout(super::NOTICED, last.next_event(super::NOTICED)).await else { break };
        got.extend(event["payload"]["n"].as_u64());
        if got.contains(&299) {
            break;
        }
    }
    let missing: Vec<u64> = (0..300).filter(|n| !got.contains(n)).collect();
    assert!(missing.is_empty(), "missing: {missing:?}");
}
