//! Redis is killed and comes back empty while both nodes are under load.

use std::time::Duration;

use hookswitch_testkit::{ApiClient, NodeProcess, RedisSpec, WsRequest, eventually};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{DEADLINE, connect, nodes};
use crate::stage::{TENANT, agent_token, my_turn, service};

const AGENTS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_restarted_empty_under_load() {
    let _turn = my_turn().await;
    let mut redis = RedisSpec::new().start().await;
    let nodes = nodes(&redis.url(), 2).await;
    let mut sockets = Vec::new();
    for user in 1..=AGENTS {
        sockets.push(connect(&nodes[user % 2], user).await);
    }
    let (stop, stopped) = watch::channel(false);
    let mut loads = JoinSet::new();
    for (node, name) in nodes.iter().zip(["a", "b"]) {
        loads.spawn(load(name, service(node), probe_of(node), stopped.clone()));
    }
    redis.kill().await;
    for node in &nodes {
        eventually("it is degraded", DEADLINE, async || node.api().get("/readyz").await.status == 503).await;
    }
    redis.restart().await;
    let restarted_at = tokio::time::Instant::now();
    let mut wanted: Vec<String> = (1..=AGENTS).map(|user| user.to_string()).collect();
    wanted.extend(["900001".to_owned()]);
    wanted.sort();
    eventually("presence is exact", DEADLINE, async || {
        let members = redis.cli(&["SMEMBERS", &format!("callcenter:online:{TENANT}")]).await;
        let mut members: Vec<String> = members.lines().map(str::to_owned).collect();
        members.sort();
        members == wanted
    })
    .await;
    let took = restarted_at.elapsed();
    assert!(took < Duration::from_secs(15), "presence was exact after {took:?}");
    stop.send_replace(true);
    for longest in loads.join_all().await {
        assert!(longest < Duration::from_secs(2), "local delivery paused for {longest:?}");
    }
    println!("presence was exact after {took:?}");
    drop(sockets);
}

/// A connection of the same node that sees whether local delivery goes on.
fn probe_of(node: &NodeProcess) -> WsRequest {
    WsRequest::new(node.addr(), "/ws").bearer(&agent_token(node, 900_001))
}

/// Publishes and waits for each event at the same node; gives the longest wait.
async fn load(name: &'static str, api: ApiClient, probe: WsRequest, mut stopped: watch::Receiver<bool>) -> Duration {
    let mut probe = probe.open().await;
    let mut longest = Duration::ZERO;
    for n in 0u64.. {
        let started = tokio::time::Instant::now();
        let mine = format!("{name}{n}");
        api.publish(json!({"type": "queue.stats", "payload": {"mine": mine}})).await;
        while probe.next_event(DEADLINE).await["payload"]["mine"] != mine.as_str() {}
        longest = longest.max(started.elapsed());
        if tokio::time::timeout(Duration::from_millis(2), stopped.wait_for(|stop| *stop)).await.is_ok() {
            break;
        }
    }
    longest
}
