//! Users whom a node sent elsewhere: online until they are back, or their time is over.

use std::time::Duration;

use hookswitch_hub::{PresenceState, PresenceStore as _};
use hookswitch_redis::{NodeLease, RedisConfig};
use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisCluster, RedisSpec, eventually};

use crate::presence::{LEASE, config, node, user};
use crate::presence_listener::PresenceListener;
use crate::rig::Node;

const ONLINE: &str = "7 online connected";

/// One that holds for so short that a test waits for it.
async fn quick(url: &str) -> Node {
    Node::with(RedisConfig { presence_hold: Duration::from_millis(300), ..config(url) }).await
}

#[tokio::test]
async fn who_is_back_in_time_was_never_offline() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (a, b) = (node(&redis.url()).await, node(&redis.url()).await);
    let agent = user("7");
    a.touch(&agent, 1).await;
    a.hold(&agent, 1).await;
    for node in [&a, &b] {
        assert_eq!(node.sees(&agent).await, Some((PresenceState::Online, 0)), "online to who asks");
        assert!(node.other_holders(&agent).await.is_empty(), "and on no node, so that his events are kept");
    }
    assert_eq!(redis.cli(&["SISMEMBER", "callcenter:online:t", "7"]).await, "1");
    assert_eq!(redis.cli(&["EXISTS", "callcenter:presence:t:7"]).await, "1");
    b.touch(&agent, 1).await;
    assert_eq!(a.sees(&agent).await, Some((PresenceState::Online, 1)));
    b.leave(&agent).await;
    assert_eq!(a.sees(&agent).await, Some((PresenceState::Offline, 0)), "held no more: he has been back");
    listener.until("7 offline disconnected").await;
    assert_eq!(listener.of("7"), [ONLINE, "7 offline disconnected"]);
}

#[tokio::test]
async fn who_is_back_on_the_same_node_was_never_offline_either() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let a = quick(&redis.url()).await;
    let (agent, other) = (user("7"), user("8"));
    for key in [&agent, &other] {
        a.touch(key, 1).await;
        a.hold(key, 1).await;
    }
    a.touch(&agent, 1).await;
    listener.until("8 offline drained").await;
    assert_eq!(a.sees(&agent).await, Some((PresenceState::Online, 1)), "his time was as long");
    assert_eq!(listener.of("7"), [ONLINE]);
}

#[tokio::test]
async fn who_is_not_back_in_time_goes_offline_as_drained() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let a = quick(&redis.url()).await;
    let agent = user("7");
    a.touch(&agent, 2).await;
    a.hold(&agent, 2).await;
    listener.until("7 offline drained").await;
    assert_eq!(listener.of("7"), [ONLINE, "7 offline drained"]);
    assert_eq!(a.online("t").await, [""; 0]);
    let is_erased = async || redis.cli(&["EXISTS", "callcenter:presence:t:7"]).await == "0";
    eventually("his heartbeat is gone", PATIENCE, is_erased).await;
}

#[tokio::test]
async fn on_a_cluster_it_is_the_same() {
    let redis = RedisCluster::start(3).await;
    let url = redis.url();
    let (a, b) = (quick(&url).await, node(&url).await);
    let (agent, other) = (user("7"), user("8"));
    for key in [&agent, &other] {
        a.touch(key, 1).await;
        a.hold(key, 1).await;
    }
    b.touch(&other, 1).await;
    let is_over = async || b.sees(&agent).await == Some((PresenceState::Offline, 0));
    eventually("the one who is not back is offline", PATIENCE, is_over).await;
    assert_eq!(b.sees(&other).await, Some((PresenceState::Online, 1)));
}

#[tokio::test]
async fn as_many_connections_are_waited_for_as_were_sent_away() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (a, b, c) = (node(&redis.url()).await, node(&redis.url()).await, node(&redis.url()).await);
    let agent = user("7");
    a.touch(&agent, 2).await;
    a.hold(&agent, 2).await;
    b.touch(&agent, 1).await;
    // The desk is back, and goes for good; the phone is on its way.
    b.leave(&agent).await;
    assert_eq!(c.sees(&agent).await, Some((PresenceState::Online, 0)));
    c.touch(&agent, 1).await;
    c.leave(&agent).await;
    listener.until("7 offline disconnected").await;
    assert_eq!(listener.of("7"), [ONLINE, "7 offline disconnected"]);
}

#[tokio::test]
async fn what_a_node_holds_outlives_it_and_is_ended_by_the_others() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let presence_hold = Duration::from_secs(2);
    let a = Node::with(RedisConfig { presence_hold, ..config(&redis.url()) }).await;
    let b = node(&redis.url()).await;
    let (absent, back) = (user("7"), user("8"));
    for key in [&absent, &back] {
        a.touch(key, 1).await;
        a.hold(key, 1).await;
    }
    b.touch(&back, 1).await;
    let gone = a.name.to_string();
    assert!(a.shut_down(PATIENCE).await);
    assert_eq!(b.sees(&absent).await, Some((PresenceState::Online, 0)), "the node has ended, and holds him");
    listener.until("7 offline drained").await;
    assert_eq!(listener.of("8"), ["8 online connected"]);
    let leases = format!("callcenter:leases:{{callcenter:online:t}}:{gone}");
    let is_forgotten = async || {
        redis.cli(&["ZSCORE", "callcenter:nodes", &gone]).await.is_empty()
            && redis.cli(&["EXISTS", &format!("callcenter:node-tenants:{gone}")]).await == "0"
            && redis.cli(&["HKEYS", &leases]).await == "#era"
    };
    eventually("nothing of it is left", PATIENCE, is_forgotten).await;
}

#[tokio::test]
async fn of_a_node_that_dies_while_it_drains_each_user_is_told_as_it_is() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (a, _b) = (node(&redis.url()).await, node(&redis.url()).await);
    a.touch(&user("7"), 1).await;
    a.touch(&user("8"), 1).await;
    a.hold(&user("7"), 1).await;
    drop(a);
    listener.until("7 offline drained").await;
    listener.until("8 offline node_lost").await;
}

#[tokio::test]
async fn who_is_sent_away_while_redis_is_out_of_reach_is_held_later() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    // Longer than it takes to notice, or the others would take the node for lost.
    let patient = |url: &str| RedisConfig { node_lease: NodeLease::new(LEASE * 5), ..config(url) };
    let far = Node::with(patient(&format!("redis://{}", proxy.addr()))).await;
    let near = Node::with(patient(&redis.url())).await;
    let agent = user("7");
    far.touch(&agent, 1).await;
    proxy.set(Fault::Stall);
    far.until_down().await;
    far.hold(&agent, 1).await;
    proxy.heal();
    far.until_up().await;
    let is_held = async || near.sees(&agent).await == Some((PresenceState::Online, 0));
    eventually("he is held", PATIENCE, is_held).await;
    near.touch(&agent, 1).await;
    near.leave(&agent).await;
    let told = listener.until("7 offline disconnected").await;
    assert!(!told.iter().any(|told| told.contains("drained") || told.contains("node_lost")), "{told:?}");
}

#[tokio::test]
async fn each_node_knows_how_many_connections_the_others_have() {
    let redis = RedisSpec::new().start().await;
    let (a, b) = (node(&redis.url()).await, node(&redis.url()).await);
    let exchange = async |node: &Node, n| {
        let mut all = node.keepers.presence.exchange_counts(n).await.expect("Redis is there");
        all.sort_unstable();
        all
    };
    assert_eq!(exchange(&a, Some(7)).await, [7]);
    redis.cli(&["HSET", "callcenter:node-connections", "dead", "1000 1000", "foreign", "nonsense"]).await;
    assert_eq!(exchange(&b, Some(2)).await, [2, 7], "a dead node's number is old");
    assert_eq!(redis.cli(&["HLEN", "callcenter:node-connections"]).await, "2", "and forgotten one day");
    assert_eq!(exchange(&a, Some(8)).await, [2, 8]);
    assert_eq!(exchange(&a, None).await, [2]);
    assert_eq!(exchange(&b, Some(3)).await, [3]);
}
