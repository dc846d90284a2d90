//! Who is online, as the API, the runbook's commands and subscribers see it.

use hookswitch_testkit::{PATIENCE, WsClient, eventually};
use serde_json::{Value, json};

use super::{Cluster, until_online};
use crate::stage::TENANT;

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
async fn a_node_that_ends_in_order_takes_its_users_offline_at_once() {
    let mut cluster = Cluster::start(2).await;
    let mut watcher = cluster.nodes[1].agent(1).await;
    watcher.subscribe(&["presence.changed"]).await;
    watcher.sync().await;
    let _here_only = cluster.nodes[0].agent(7).await;
    let _elsewhere_too = (cluster.nodes[0].agent(8).await, cluster.nodes[1].agent(8).await);
    for user in [7, 8] {
        assert_eq!(change_of(&mut watcher, user).await["payload"]["state"], "online");
    }
    let mut node = cluster.nodes.remove(0).node;
    node.terminate();
    assert_eq!(node.wait(PATIENCE).await.code(), Some(0));
    let went = watcher.expect("presence.changed").await["payload"].clone();
    assert_eq!(went, json!({"user_id": 7, "state": "offline", "cause": "disconnected"}));
    until_online(&cluster.nodes, 8, 1).await;
    watcher.expect_silence().await;
}
