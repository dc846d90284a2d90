//! Redis is gone, hangs, comes back empty: clients stay, local delivery goes on, readiness tells.

use std::time::Duration;

use hookswitch_testkit::{PATIENCE, RedisSpec, eventually};
use serde_json::json;

use super::{Cluster, nodes, until_online, until_readiness};
use crate::stage::{Stage, TENANT, event};

/// Publishes until told to stop, and expects every event at a client of the same node.
async fn local_delivery_goes_on(
    node: &Stage,
    mut client: hookswitch_testkit::WsClient,
    until: impl Future<Output = ()>,
) {
    let mut until = std::pin::pin!(until);
    for n in 0u64.. {
        let published = async {
            node.service().publish(json!({"type": "call.incoming", "payload": {"n": n}})).await;
            loop {
                let got = client.next_event(Duration::from_secs(5)).await;
                if got["type"] == "call.incoming" && got["payload"]["n"] == n {
                    return;
                }
                assert_eq!(got["payload"]["code"], "messages_dropped", "nothing else comes: {got}");
            }
        };
        published.await;
        let is_over = tokio::time::timeout(Duration::from_millis(5), &mut until).await.is_ok();
        if is_over {
            return;
        }
    }
}

#[tokio::test]
async fn killed_and_restarted_empty_it_leaves_presence_exact() {
    let mut cluster = Cluster::start(2).await;
    let client = cluster.nodes[0].agent(1).await;
    let mut watcher = cluster.nodes[1].agent(2).await;
    watcher.subscribe(&["presence.changed", "call.incoming"]).await;
    watcher.sync().await;
    let phone = cluster.nodes[0].agent(456).await;
    let _desktop = cluster.nodes[1].agent(456).await;
    watcher.expect("presence.changed").await;
    until_online(&cluster.nodes, 456, 2).await;
    let Cluster { redis, nodes } = &mut cluster;
    let outage = async {
        redis.kill().await;
        for node in nodes.iter() {
            until_readiness(node, 503, "degraded").await;
        }
        // One leaves and one comes while nobody can be told.
        phone.close().await;
        let newcomer = nodes[1].agent(789).await;
        let unknown = nodes[0].service().get("/ws/users/456/online").await;
        unknown.expect_error(503, "storage_unavailable");
        redis.restart().await;
        for node in nodes.iter() {
            until_readiness(node, 200, "ready").await;
        }
        drop(newcomer);
    };
    local_delivery_goes_on(&nodes[0], client, outage).await;
    until_online(nodes, 456, 1).await;
    let set = format!("callcenter:online:{TENANT}");
    eventually("the set is exact", PATIENCE, async || {
        let members = redis.cli(&["SMEMBERS", &set]).await;
        let mut members: Vec<&str> = members.lines().collect();
        members.sort_unstable();
        members == ["2", "456"]
    })
    .await;
}

#[tokio::test]
async fn one_that_hangs_is_treated_like_one_that_is_gone() {
    let cluster = Cluster::start(2).await;
    let client = cluster.nodes[0].agent(1).await;
    let outage = async {
        cluster.redis.suspend();
        cluster.until_all(503, "degraded").await;
        let mut newcomer = cluster.nodes[1].agent(5).await;
        newcomer.sync().await;
        cluster.redis.resume();
        cluster.until_all(200, "ready").await;
    };
    local_delivery_goes_on(&cluster.nodes[0], client, outage).await;
}

#[tokio::test]
async fn a_pause_of_all_clients_is_told_and_survived() {
    let cluster = Cluster::start(2).await;
    let client = cluster.nodes[0].agent(1).await;
    let outage = async {
        cluster.redis.client_pause(Duration::from_secs(5)).await;
        cluster.until_all(503, "degraded").await;
        cluster.until_all(200, "ready").await;
    };
    local_delivery_goes_on(&cluster.nodes[0], client, outage).await;
}

#[tokio::test]
async fn the_end_of_a_chat_session_is_refused_while_nobody_can_tell_which_it_is() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    here.start_chat("s-1").await;
    let mut visitor = here.visitor("s-1").await;
    let of = |kind: &str| json!({"type": kind, "payload": {"session_id": "s-1"}});
    cluster.redis.suspend();
    cluster.until_all(503, "degraded").await;
    for node in [here, there] {
        node.service().try_publish(of("chat.session.ended")).await.expect_error(503, "storage_unavailable");
    }
    there.service().publish(of("chat.message")).await;
    cluster.redis.resume();
    cluster.until_all(200, "ready").await;
    there.service().publish(of("chat.session.ended")).await;
    assert_eq!(visitor.close_code().await, 4410, "said again, it ends");
}

#[tokio::test]
async fn events_published_meanwhile_arrive_afterwards() {
    let mut cluster = Cluster::start(2).await;
    let mut far = cluster.nodes[1].agent(2).await;
    cluster.redis.kill().await;
    cluster.until_all(503, "degraded").await;
    for n in 0..10 {
        cluster.nodes[0].service().publish(json!({"type": "alert", "payload": {"n": n}})).await;
    }
    cluster.redis.restart().await;
    cluster.until_all(200, "ready").await;
    assert_eq!(super::numbers(&mut far, 10).await, (0..10).collect::<Vec<u64>>());
}

#[tokio::test]
async fn without_redis_at_start_a_node_is_alone_and_joins_when_it_comes() {
    let mut redis = RedisSpec::new().start().await;
    redis.kill().await;
    let url = redis.url();
    let node = Stage::with(&[("REDIS_URL", &url)]).await;
    let ready = node.node.api().get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.json()["status"], &ready.json()["mode"]),
        (503, &json!("degraded"), &json!("single-node"))
    );
    node.node.logged("goes on by itself").await;
    let mut client = node.agent(1).await;
    node.service().publish(event("call.incoming")).await;
    client.expect("call.incoming").await;
    redis.restart().await;
    until_readiness(&node, 200, "ready").await;
    assert_eq!(node.node.api().get("/readyz").await.json()["mode"], "cluster");
    // Others may have published while it was alone.
    client.expect_error("messages_dropped").await;
    let others = nodes(&url, 1).await;
    others[0].service().publish(event("call.ended")).await;
    client.expect("call.ended").await;
    until_online(&others, 1, 1).await;
}
