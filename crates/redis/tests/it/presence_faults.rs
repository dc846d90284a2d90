//! Presence while Redis is away, comes back empty, stands still, or is out of one node's reach.

use hookswitch_hub::PresenceState;
use hookswitch_redis::{NodeLease, RedisConfig};
use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisSpec, eventually};

use crate::presence::{LEASE, config, node, user};
use crate::presence_listener::PresenceListener;
use crate::rig::Node;

async fn touch_all(node: &Node, users: &[&str]) {
    for id in users {
        node.touch(&user(id), 1).await;
    }
}

#[tokio::test]
async fn presence_is_right_again_after_redis_came_back_empty() {
    let mut redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (a, b) = (node(&redis.url()).await, node(&redis.url()).await);
    touch_all(&a, &["1", "2", "3", "4", "both"]).await;
    touch_all(&b, &["5", "6", "both"]).await;
    listener.until("6 online connected").await;
    redis.kill().await;
    a.until_down().await;
    b.until_down().await;
    let before = listener.transitions();
    a.touch(&user("new"), 2).await;
    a.leave(&user("4")).await;
    a.leave(&user("both")).await;
    b.touch(&user("passing"), 1).await;
    b.leave(&user("passing")).await;
    assert_eq!(a.sees(&user("1")).await, None, "nobody knows while Redis is away");
    redis.restart().await;
    a.until_up().await;
    b.until_up().await;
    a.until_online("t", &["1", "2", "3", "5", "6", "both", "new"]).await;
    assert_eq!(a.sees(&user("new")).await, Some((PresenceState::Online, 2)));
    let heartbeats = async || a.sees(&user("3")).await == Some((PresenceState::Online, 1));
    eventually("signs of life are there again", PATIENCE, heartbeats).await;
    listener.until("4 offline disconnected").await;
    let mut told = listener.transitions().split_off(before.len());
    told.sort();
    assert_eq!(told, ["4 offline disconnected", "new online connected"], "nobody else came or went");
}

#[tokio::test]
async fn presence_is_right_again_after_redis_came_back_with_what_it_had() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (a, b) = (node(&redis.url()).await, node(&redis.url()).await);
    touch_all(&a, &["1", "2"]).await;
    touch_all(&b, &["3"]).await;
    redis.client_pause(LEASE * 3).await;
    a.until_down().await;
    b.until_down().await;
    a.leave(&user("2")).await;
    b.touch(&user("4"), 1).await;
    a.until_up().await;
    b.until_up().await;
    a.until_online("t", &["1", "3", "4"]).await;
    listener.until("2 offline disconnected").await;
    listener.until("4 online connected").await;
    assert_eq!(listener.transitions().len(), 5);
}

#[tokio::test]
async fn presence_survives_a_redis_that_stands_still_for_longer_than_a_lease() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (a, b, c) = (node(&redis.url()).await, node(&redis.url()).await, node(&redis.url()).await);
    touch_all(&a, &["1"]).await;
    touch_all(&b, &["2"]).await;
    touch_all(&c, &["3"]).await;
    redis.suspend();
    let still = tokio::time::Instant::now();
    eventually("longer than a lease", PATIENCE, async || still.elapsed() > LEASE * 2).await;
    redis.resume();
    for node in [&a, &b, &c] {
        node.until_up().await;
    }
    // Only when nodes judge each other again is it certain that nobody was judged too early.
    drop(c);
    listener.until("3 offline node_lost").await;
    a.until_online("t", &["1", "2"]).await;
    assert_eq!(listener.transitions().len(), 4, "{:?}", listener.transitions());
}

#[tokio::test]
async fn whose_lease_was_gone_is_looked_after_for_what_was_kept_meanwhile() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (held, other) = (node(&redis.url()).await, node(&redis.url()).await);
    touch_all(&held, &["1", "2"]).await;
    assert!(held.heard.backlogs().is_empty(), "the hub looks after newcomers itself");
    // As if it had not said for a while that it lives, its connections being good all the same.
    let node_lease = held.name.as_str();
    let is_swept = async || {
        redis.cli(&["ZADD", "callcenter:nodes", "XX", "1", node_lease]).await;
        listener.of("1").contains(&"1 offline node_lost".to_owned())
    };
    eventually("the other takes it for lost", PATIENCE, is_swept).await;
    other.until_online("t", &["1", "2"]).await;
    let is_asked = async || ["1", "2"].iter().all(|id| held.heard.backlogs().contains(&user(id)));
    eventually("both are looked after", PATIENCE, is_asked).await;
    assert!(held.keepers.link.check().is_ok());
}

#[tokio::test]
async fn a_key_of_the_wrong_type_leaves_presence_as_it_was_and_is_counted() {
    let redis = RedisSpec::new().start().await;
    let node = node(&redis.url()).await;
    touch_all(&node, &["7"]).await;
    let leases = format!("callcenter:leases:{{callcenter:online:t}}:{}", node.name);
    redis.cli(&["DEL", "callcenter:online:t"]).await;
    redis.cli(&["SET", "callcenter:online:t", "x"]).await;
    node.leave(&user("7")).await;
    touch_all(&node, &["8"]).await;
    assert_eq!(redis.cli(&["HKEYS", &leases]).await.replace('\n', " "), "#era 7", "nothing was done by halves");
    assert!(node.keepers.link.metrics().failed_commands.get("wrong_type") >= 2);
    redis.cli(&["DEL", "callcenter:online:t"]).await;
    node.until_online("t", &["8"]).await;
    eventually("7 has left", PATIENCE, async || redis.cli(&["HEXISTS", &leases, "7"]).await == "0").await;
}

#[tokio::test]
async fn a_list_of_a_nodes_tenants_ends_by_itself() {
    let redis = RedisSpec::new().start().await;
    let node = node(&redis.url()).await;
    touch_all(&node, &["7"]).await;
    let ttl: i64 =
        redis.cli(&["TTL", &format!("callcenter:node-tenants:{}", node.name)]).await.parse().expect("a number");
    assert!((1..=24 * 60 * 60).contains(&ttl), "{ttl}");
}

/// A node behind a proxy that can cut it off.
async fn behind(proxy: &FaultProxy) -> Node {
    node(&format!("redis://{}", proxy.addr())).await
}

#[tokio::test]
async fn presence_of_a_node_out_of_reach_ends_and_comes_back_with_it() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let (near, far) = (node(&redis.url()).await, behind(&proxy).await);
    touch_all(&far, &["1", "2", "both"]).await;
    touch_all(&near, &["both"]).await;
    proxy.set(Fault::Stall);
    listener.until("1 offline node_lost").await;
    listener.until("2 offline node_lost").await;
    near.until_online("t", &["both"]).await;
    far.until_down().await;
    far.leave(&user("2")).await;
    far.touch(&user("3"), 1).await;
    proxy.heal();
    far.until_up().await;
    near.until_online("t", &["1", "3", "both"]).await;
    let comes_back = ["1 online connected", "1 offline node_lost", "1 online connected"];
    eventually("his coming back is told", PATIENCE, async || listener.of("1") == comes_back).await;
    assert_eq!(listener.of("2"), ["2 online connected", "2 offline node_lost"], "he left while he was offline already");
    assert_eq!(listener.of("both"), ["both online connected"]);
    assert_eq!(near.sees(&user("both")).await, Some((PresenceState::Online, 2)));
}

#[tokio::test]
async fn presence_of_a_command_that_comes_late_is_put_right() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    // A lease so long that nobody is swept here.
    let node_lease = NodeLease::new(LEASE * 6);
    let url = format!("redis://{}", proxy.addr());
    let far = Node::with(RedisConfig { node_lease, ..config(&url) }).await;
    let near = node(&redis.url()).await;
    far.touch(&user("stays"), 1).await;
    proxy.set(Fault::Stall);
    // Sent, not answered, and on their way until the line is good again.
    far.touch(&user("gone"), 1).await;
    far.touch(&user("stays"), 3).await;
    far.leave(&user("gone")).await;
    far.until_down().await;
    proxy.heal();
    far.until_up().await;
    let is_right = async || near.sees(&user("stays")).await == Some((PresenceState::Online, 3));
    eventually("the number is right", PATIENCE, is_right).await;
    near.until_online("t", &["stays"]).await;
}

#[tokio::test]
async fn presence_of_a_node_that_starts_before_redis_is_told_when_it_comes() {
    let mut redis = RedisSpec::new().start().await;
    redis.kill().await;
    let early = Node::without_redis(config(&redis.url())).await;
    touch_all(&early, &["1", "2"]).await;
    early.leave(&user("2")).await;
    redis.restart().await;
    early.until_online("t", &["1"]).await;
    assert_eq!(early.sees(&user("1")).await, Some((PresenceState::Online, 1)));
}
