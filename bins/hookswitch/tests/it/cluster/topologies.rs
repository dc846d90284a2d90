//! The same over Redis Cluster and Sentinel.

use hookswitch_testkit::{PATIENCE, RedisCluster, RedisSentinel, RedisSpec, WsClient};
use serde_json::json;

use super::{nodes, numbers, until_online, until_readiness};
use crate::stage::{Stage, TENANT, event};

/// Events, presence, kept messages and chat sessions over two nodes.
async fn everything_works(nodes: &[Stage], user: i64) {
    let (here, there) = (&nodes[0], &nodes[1]);
    for n in 0..3 {
        here.service().publish(json!({"type": "notification", "user_id": user, "payload": {"n": n}})).await;
    }
    let mut client = there.agent(user).await;
    assert_eq!(numbers(&mut client, 3).await, [0, 1, 2]);
    until_online(nodes, user, 1).await;
    here.service().publish(event("call.incoming")).await;
    client.expect("call.incoming").await;
    let session = format!("s-{user}");
    here.start_chat(session.as_str()).await;
    // There too, or the visitor, who finds the session in Redis, would be told of its start.
    client.expect("chat.session.started").await;
    let mut visitor: WsClient = there.visitor(&session).await;
    here.service().publish(json!({"type": "chat.message", "session_id": session})).await;
    visitor.expect("chat.message").await;
    client.close().await;
    until_online(nodes, user, 0).await;
}

#[tokio::test]
async fn redis_cluster() {
    let cluster = RedisCluster::start(3).await;
    let nodes = nodes(&cluster.url(), 2).await;
    everything_works(&nodes, 1).await;
    let slot = cluster.slot_of(&format!("callcenter:online:{TENANT}")).await;
    let to = (cluster.owner_of(slot).await + 1) % 3;
    let mut client = nodes[1].agent(7).await;
    cluster.migrate_slot(slot, to).await;
    // Another server, which may have had the tenant's history before: positions begin anew, and whoever is connected is
    // told so, once.
    nodes[0].service().publish(event("call.incoming")).await;
    let (mut is_told, mut is_given) = (false, false);
    while !(is_told && is_given) {
        let got = client.next_event(PATIENCE).await;
        is_told |= got["payload"]["code"] == "messages_dropped";
        is_given |= got["type"] == "call.incoming";
    }
    everything_works(&nodes, 2).await;
}

#[tokio::test]
async fn redis_sentinel_with_a_failover() {
    let mut sentinel = RedisSentinel::start().await;
    let nodes = nodes(&sentinel.url(), 2).await;
    everything_works(&nodes, 1).await;
    let (mut client, mut there) = (nodes[0].agent(7).await, nodes[1].agent(8).await);
    let old = sentinel.kill_master().await;
    for node in &nodes {
        until_readiness(node, 503, "degraded").await;
    }
    nodes[0].service().publish(event("call.incoming")).await;
    client.expect("call.incoming").await;
    sentinel.new_master(old).await;
    for node in &nodes {
        until_readiness(node, 200, "ready").await;
    }
    // What was published meanwhile waited for the new master: it would reach those too who connect before it.
    there.expect_error("messages_dropped").await;
    there.expect("call.incoming").await;
    until_online(&nodes, 7, 1).await;
    everything_works(&nodes, 2).await;
}

#[tokio::test]
async fn sharded_pub_sub_and_a_prefix_of_ones_own() {
    let redis = RedisSpec::new().password("letters42").start().await;
    let url = redis.url();
    let env = [("REDIS_URL", url.as_str()), ("REDIS_PREFIX", "hub"), ("REDIS_SHARDED_PUBSUB", "true")];
    let nodes = [Stage::with(&env).await, Stage::with(&env).await];
    for node in &nodes {
        until_readiness(node, 200, "ready").await;
    }
    everything_works(&nodes, 1).await;
    let keys = redis.cli(&["KEYS", "*"]).await;
    assert!(keys.lines().all(|key| key.starts_with("hub:")), "{keys}");
}
