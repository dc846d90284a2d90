//! `kill -9` of a node: exactly those users are offline whom no other node holds.

use std::collections::HashSet;
use std::time::Duration;

use hookswitch_testkit::{NodeProcess, RedisSpec, WsClient, WsRequest};
use serde_json::json;

use super::{DEADLINE, connect, nodes};
use crate::stage::{TENANT, agent_token, my_turn};

const USERS: usize = 500;
const ELSEWHERE_TOO: usize = 250;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_takes_exactly_its_own_users_offline() {
    let _turn = my_turn().await;
    let redis = RedisSpec::new().start().await;
    let mut nodes = nodes(&redis.url(), 3).await;
    let mut watcher = watch_presence(&nodes[2], 100_000).await;
    let mut sockets = Vec::new();
    for user in 1..=USERS {
        sockets.push(connect(&nodes[0], user).await);
        if user <= ELSEWHERE_TOO {
            sockets.push(connect(&nodes[1], user).await);
        }
    }
    for _ in 0..USERS {
        let came = watcher.next_event(DEADLINE).await;
        assert_eq!(came["payload"]["state"], "online", "{came}");
    }
    let killed_at = tokio::time::Instant::now();
    nodes[0].kill9().await;
    let mut gone = HashSet::new();
    while gone.len() < USERS - ELSEWHERE_TOO {
        let left = Duration::from_secs(30).saturating_sub(killed_at.elapsed());
        let event = watcher.next_event(left.max(Duration::from_millis(1))).await;
        assert_eq!((&event["payload"]["state"], &event["payload"]["cause"]), (&json!("offline"), &json!("node_lost")));
        let user = event["payload"]["user_id"].as_u64().expect("a number") as usize;
        assert!(user > ELSEWHERE_TOO && gone.insert(user), "{user} is elsewhere, or was told before");
    }
    println!("all {} were told after {:?}", gone.len(), killed_at.elapsed());
    let members = redis.cli(&["SMEMBERS", &format!("callcenter:online:{TENANT}")]).await;
    let members: HashSet<&str> = members.lines().collect();
    assert_eq!(members.len(), ELSEWHERE_TOO + 1, "those elsewhere and the watcher");
    // Another two sweeps tell nobody anything.
    let silence = tokio::time::timeout(Duration::from_secs(12), watcher.next_event(DEADLINE)).await;
    assert!(silence.is_err(), "no more, no fewer: {silence:?}");
}

async fn watch_presence(node: &NodeProcess, user: usize) -> WsClient {
    let token = agent_token(node, user);
    let mut watcher = WsRequest::new(node.addr(), "/ws").bearer(&token).open().await;
    watcher.subscribe(&["presence.changed"]).await;
    watcher.sync().await;
    watcher
}
