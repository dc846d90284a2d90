//! Who is online, as the API, the runbook's commands and subscribers see it.

use hookswitch_testkit::{PATIENCE, WsClient, eventually};
use serde_json::{Value, json};

use super::{Cluster, online, until_online, until_readiness};
use crate::stage::{Stage, TENANT};

#[tokio::test]
async fn the_runbooks_commands_answer_at_every_step() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let (set, beat) = (format!("callcenter:online:{TENANT}"), format!("callcenter:presence:{TENANT}:456"));
    let check = async |is_online: bool, n: u32| {
        let wanted = if is_online { "1" } else { "0" };
        eventually(&format!("SISMEMBER says {wanted}"), PATIENCE, async || {
            cluster.redis.cli(&["SISMEMBER", &set, "456"]).await == wanted
        })
        .await;
        eventually(&format!("EXISTS says {wanted}"), PATIENCE, async || {
            cluster.redis.cli(&["EXISTS", &beat]).await == wanted
        })
        .await;
        assert_eq!(cluster.redis.cli(&["SMEMBERS", &set]).await, if is_online { "456" } else { "" });
        until_online(&cluster.nodes, 456, n).await;
    };
    check(false, 0).await;
    let phone = here.agent(456).await;
    check(true, 1).await;
    let desktop = there.agent(456).await;
    check(true, 2).await;
    let expiry: i64 = cluster.redis.cli(&["TTL", &beat]).await.parse().expect("a number");
    assert!((200..=300).contains(&expiry), "{expiry}");
    phone.close().await;
    check(true, 1).await;
    desktop.close().await;
    check(false, 0).await;
}

#[tokio::test]
async fn each_transition_is_told_once_to_whoever_asked() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let (mut watcher, mut bystander) = (there.agent(1).await, here.agent(2).await);
    watcher.subscribe(&["presence.changed"]).await;
    watcher.sync().await;
    let phone = here.agent(456).await;
    let desktop = there.agent(456).await;
    until_online(&cluster.nodes, 456, 2).await;
    phone.close().await;
    until_online(&cluster.nodes, 456, 1).await;
    desktop.close().await;
    let came = change_of(&mut watcher, 456).await;
    assert_eq!(came["payload"], json!({"user_id": 456, "state": "online", "cause": "connected"}));
    assert!(came.get("user_id").is_none(), "it is for everybody who asked");
    let went = watcher.expect("presence.changed").await;
    assert_eq!(went["payload"], json!({"user_id": 456, "state": "offline", "cause": "disconnected"}));
    watcher.expect_silence().await;
    bystander.expect_silence().await;
}

/// The next change of this user. The watcher's own coming may be told after it subscribed, for the way
/// over Redis takes its time.
async fn change_of(watcher: &mut WsClient, user: i64) -> Value {
    loop {
        let change = watcher.expect("presence.changed").await;
        if change["payload"]["user_id"] == user {
            return change;
        }
    }
}

#[tokio::test]
async fn the_online_list_spans_nodes_and_not_tenants() {
    let cluster = Cluster::start(2).await;
    let (here, there) = cluster.pair();
    let _clients = (here.agent(7).await, there.agent("user-8").await, there.agent_of(crate::stage::OTHER, 9).await);
    let list = async || here.service().get("/api/v1/presence/online").await.data();
    assert_eq!(list().await, json!([7, "user-8"]));
}

#[tokio::test]
async fn users_of_a_node_that_ended_in_order_are_offline_when_they_are_not_back_in_time() {
    let cluster = Cluster::start(1).await;
    let (url, staying) = (cluster.redis.url(), &cluster.nodes[0]);
    let mut watcher = staying.agent(1).await;
    watcher.subscribe(&["presence.changed"]).await;
    watcher.sync().await;
    let env = [("REDIS_URL", url.as_str()), ("DRAIN_WINDOW", "0s"), ("DRAIN_PRESENCE_HOLD", "2s")];
    let mut ending = Stage::with(&env).await;
    until_readiness(&ending, 200, "ready").await;
    let _there_only = ending.agent(7).await;
    let _here_too = (ending.agent(8).await, staying.agent(8).await);
    for user in [7, 8] {
        assert_eq!(change_of(&mut watcher, user).await["payload"]["state"], "online");
    }
    ending.node.terminate();
    assert_eq!(ending.node.wait(PATIENCE).await.code(), Some(0));
    assert_eq!(online(staying, 7).await, json!({"user_id": 7, "is_online": true, "connection_count": 0}));
    until_online(&cluster.nodes, 8, 1).await;
    // Held for two seconds, and then until the others look for nodes that are gone.
    let went = watcher.next_event(PATIENCE * 2).await["payload"].clone();
    assert_eq!(went, json!({"user_id": 7, "state": "offline", "cause": "drained"}));
    watcher.expect_silence().await;
}
