//! Presence over several nodes, on one server and on a cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookswitch_hub::{OfflineLimits, PresenceState, PresenceStore as _, UserKey};
use hookswitch_protocol::{NodeId, UserId};
use hookswitch_redis::{NodeLease, RedisConfig, RedisKeepers};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{PATIENCE, RedisCluster, RedisServer, RedisSpec, contract, eventually};

use crate::presence_listener::PresenceListener;
use crate::rig::{Node, RecordingSink, keepers, tenant, until_up};

/// Short, because tests wait for it to pass; so much longer than a command that a busy machine does
/// not make a node late.
pub(crate) const LEASE: Duration = Duration::from_millis(1_200);

pub(crate) fn config(url: &str) -> RedisConfig {
    RedisConfig { node_lease: NodeLease::new(LEASE), ..RedisConfig::parse_url(url).expect(url) }
}

pub(crate) async fn node(url: &str) -> Node {
    Node::with(config(url)).await
}

pub(crate) fn user(id: &str) -> UserKey {
    of("t", id)
}

pub(crate) fn of(of: &str, id: &str) -> UserKey {
    UserKey { tenant: tenant(of), user: UserId::parse(id).expect("legal user") }
}

impl Node {
    pub(crate) async fn touch(&self, key: &UserKey, n_connections: u32) {
        self.keepers.presence.touch(key, n_connections).await.expect("a coming is never refused");
    }

    pub(crate) async fn leave(&self, key: &UserKey) {
        self.keepers.presence.leave(key).await.expect("a going is never refused");
    }

    pub(crate) async fn hold(&self, key: &UserKey, n_sent_away: u32) {
        self.keepers.presence.hold(key, n_sent_away).await.expect("a going is never refused");
    }

    /// State and connections.
    pub(crate) async fn sees(&self, key: &UserKey) -> Option<(PresenceState, u32)> {
        let state = self.keepers.presence.state(key).await.ok()?;
        Some((state.state, state.n_connections))
    }

    pub(crate) async fn other_holders(&self, key: &UserKey) -> Vec<NodeId> {
        self.keepers.presence.other_holders(key).await.expect("holders")
    }

    pub(crate) async fn online(&self, of: &str) -> Vec<String> {
        let users = self.keepers.presence.online_users(&tenant(of)).await.unwrap_or_default();
        let mut users: Vec<String> = users.iter().map(UserId::to_string).collect();
        users.sort();
        users
    }

    pub(crate) async fn until_online(&self, of: &str, users: &[&str]) {
        let what = format!("{users:?} are online, and nobody else");
        eventually(&what, PATIENCE, async || self.online(of).await == users).await;
    }
}

async fn the_promise_is_kept(url: &str) {
    let n_opened = AtomicUsize::new(0);
    contract::presence::check(async |clock: Clock| {
        let n = n_opened.fetch_add(1, Ordering::Relaxed);
        let config = RedisConfig { prefix: format!("test{n}"), ..RedisConfig::parse_url(url).expect("a URL") };
        let node = NodeId::generate(clock.now());
        let sink = Arc::<RecordingSink>::default();
        let scope = Scope::root("presence-contract");
        let keepers = RedisKeepers::start(config, node, OfflineLimits::default(), sink, clock, scope).await;
        let keepers = keepers.expect("the settings are good");
        until_up(&keepers).await;
        keepers.presence
    })
    .await;
}

#[tokio::test]
async fn presence_keeps_its_promise() {
    let redis = RedisSpec::new().start().await;
    the_promise_is_kept(&redis.url()).await;
}

#[tokio::test]
async fn presence_keeps_its_promise_on_a_cluster() {
    let redis = RedisCluster::start(3).await;
    the_promise_is_kept(&redis.url()).await;
}

#[tokio::test]
async fn presence_is_the_sum_of_all_nodes_and_told_once() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (a, b) = (node(&redis.url()).await, node(&redis.url()).await);
    let agent = user("456");
    a.touch(&agent, 2).await;
    b.touch(&agent, 1).await;
    for node in [&a, &b] {
        assert_eq!(node.sees(&agent).await, Some((PresenceState::Online, 3)));
    }
    let (by_b, by_a) = (a.other_holders(&agent).await, b.other_holders(&agent).await);
    assert!(by_a.len() == 1 && by_b.len() == 1 && by_a != by_b, "each knows of the other: {by_a:?}, {by_b:?}");
    assert_eq!(redis.cli(&["SMEMBERS", "callcenter:online:t"]).await, "456");
    a.leave(&agent).await;
    assert_eq!(a.sees(&agent).await, Some((PresenceState::Online, 1)), "the other node still has him");
    assert_eq!(redis.cli(&["EXISTS", "callcenter:presence:t:456"]).await, "1");
    b.leave(&agent).await;
    assert_eq!(a.sees(&agent).await, Some((PresenceState::Offline, 0)));
    assert!(a.other_holders(&agent).await.is_empty());
    assert_eq!(redis.cli(&["SISMEMBER", "callcenter:online:t", "456"]).await, "0");
    assert_eq!(redis.cli(&["EXISTS", "callcenter:presence:t:456"]).await, "0");
    b.touch(&agent, 1).await;
    let (online, offline) = ("456 online connected", "456 offline disconnected");
    eventually("three transitions", PATIENCE, async || listener.of("456") == [online, offline, online]).await;
}

#[tokio::test]
async fn presence_is_away_when_no_heartbeat_comes() {
    let redis = RedisSpec::new().start().await;
    let heartbeat_expiry = Duration::from_millis(100);
    let away = Node::with(RedisConfig { heartbeat_expiry, ..config(&redis.url()) }).await;
    away.touch(&user("7"), 1).await;
    let is_away = async || away.sees(&user("7")).await == Some((PresenceState::Away, 1));
    eventually("he is away", PATIENCE, is_away).await;
    let heartbeat_interval = Duration::from_millis(30);
    let beating = Node::with(RedisConfig { heartbeat_interval, ..config(&redis.url()) }).await;
    beating.touch(&user("8"), 1).await;
    redis.cli(&["DEL", "callcenter:presence:t:8"]).await;
    let is_online = async || beating.sees(&user("8")).await == Some((PresenceState::Online, 1));
    eventually("a heartbeat makes him online again", PATIENCE, is_online).await;
}

/// Kills a node that holds many; those who are nowhere else are offline, each told once.
async fn a_node_dies(url: &str, addr: String) {
    let listener = PresenceListener::to(addr).await;
    let (dying, heir, other) = (node(url).await, node(url).await, node(url).await);
    for n in 0..620 {
        dying.touch(&user(&n.to_string()), 1).await;
    }
    dying.touch(&of("u", "agent-7"), 1).await;
    heir.touch(&user("7"), 1).await;
    other.touch(&user("elsewhere"), 1).await;
    drop(dying);
    heir.until_online("t", &["7", "elsewhere"]).await;
    heir.until_online("u", &[]).await;
    listener.until("agent-7 offline node_lost").await;
    assert_eq!(heir.sees(&user("7")).await, Some((PresenceState::Online, 1)));
    let swept = async || {
        let n = [&heir, &other].map(|node| node.keepers.presence.metrics());
        (n[0].nodes_swept.get() + n[1].nodes_swept.get(), n[0].users_swept.get() + n[1].users_swept.get())
    };
    eventually("the node is forgotten, by one", PATIENCE, async || swept().await == (1, 620)).await;
    eventually("all are told", PATIENCE, async || listener.transitions().len() >= 622 + 620).await;
    let told = listener.transitions();
    let (came, went) = told.split_at(622);
    assert!(came.iter().all(|told| told.ends_with("online connected")), "{came:?}");
    let mut wanted: Vec<String> = (0..620).filter(|n| *n != 7).map(|n| format!("{n} offline node_lost")).collect();
    wanted.push("agent-7 offline node_lost".to_owned());
    let mut went = went.to_vec();
    went.sort();
    wanted.sort();
    assert_eq!(went, wanted, "each is told once");
    assert_eq!(listener.of("7"), ["7 online connected"]);
}

#[tokio::test]
async fn presence_of_a_node_that_died_ends_with_its_lease() {
    let redis = RedisSpec::new().start().await;
    a_node_dies(&redis.url(), redis.addr()).await;
    let nodes = redis.cli(&["ZCARD", "callcenter:nodes"]).await;
    assert_eq!(nodes, "2");
    assert_eq!(redis.cli(&["SCARD", "callcenter:holders:{callcenter:online:t}"]).await, "2");
}

#[tokio::test]
async fn presence_of_a_node_that_died_ends_with_its_lease_on_a_cluster() {
    let redis = RedisCluster::start(3).await;
    a_node_dies(&redis.url(), redis.nodes()[0].addr()).await;
}

#[tokio::test]
async fn a_shorter_lease_takes_a_dead_nodes_users_offline_sooner() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let with_lease = async |prefix: &str, node_lease| {
        let config = RedisConfig { prefix: prefix.to_owned(), node_lease, ..config(&redis.url()) };
        let (dying, watching) = (Node::with(config.clone()).await, Node::with(config).await);
        dying.touch(&user(prefix), 1).await;
        drop(dying);
        watching
    };
    let _long = with_lease("long", NodeLease::new(LEASE * 50)).await;
    let _short = with_lease("short", NodeLease::new(LEASE)).await;
    let told = listener.until("short offline node_lost").await;
    assert_eq!(told, ["long online connected", "short online connected", "short offline node_lost"]);
}

#[tokio::test]
async fn presence_ends_in_order_with_the_node() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let (keepers, scope) = keepers(config(&redis.url()), Arc::<RecordingSink>::default()).await;
    until_up(&keepers).await;
    keepers.presence.touch(&user("7"), 1).await.expect("touch");
    scope.soft().cancel();
    keepers.presence.leave(&user("7")).await.expect("leave");
    let is_gone = async || redis.cli(&["KEYS", "callcenter:node*"]).await.is_empty();
    eventually("nothing is left of the node", PATIENCE, is_gone).await;
    assert_eq!(listener.transitions(), ["7 online connected", "7 offline disconnected"]);
    assert!(scope.shut_down(PATIENCE).await, "its tasks end by themselves");
}

#[tokio::test]
async fn presence_of_users_for_whom_nobody_vouches_expires() {
    let redis = RedisSpec::new().start().await;
    let listener = PresenceListener::to(redis.addr()).await;
    let node = node(&redis.url()).await;
    node.touch(&user("7"), 1).await;
    redis.cli(&["SADD", "callcenter:online:t", "99", "100", "not a user"]).await;
    redis.cli(&["SET", "callcenter:presence:t:100", "1761393600", "EX", "300"]).await;
    node.until_online("t", &["100", "7"]).await;
    assert_eq!(listener.until("99 offline expired").await, ["7 online connected", "99 offline expired"]);
    redis.cli(&["SREM", "callcenter:online:t", "7"]).await;
    redis.cli(&["HSET", &leases(&redis, &node).await, "8", "1"]).await;
    let is_right = async || redis.cli(&["HKEYS", &leases(&redis, &node).await]).await.lines().count() == 2;
    eventually("a lease that the node does not know ends", PATIENCE, is_right).await;
    node.until_online("t", &["100", "7"]).await;
    assert_eq!(listener.of("7"), ["7 online connected"], "put back without a word");
}

/// The name of the node's leases.
async fn leases(redis: &RedisServer, node: &Node) -> String {
    let watcher = Node::with(config(&redis.url())).await;
    let _ = node;
    let holder = watcher.other_holders(&user("7")).await;
    let names = redis.cli(&["KEYS", "callcenter:leases:*"]).await;
    let holder = holder.first().map_or_else(String::new, NodeId::to_string);
    names.lines().find(|name| name.ends_with(&holder)).expect("it has leases").to_owned()
}
