//! Redis goes away, hangs, comes back, changes hands.

use hookswitch_hub::GapScope;
use hookswitch_redis::RedisConfig;
use hookswitch_testkit::{PATIENCE, RedisCluster, RedisSentinel, RedisSpec, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::rig::{Node, event, tenant};

/// Masters of a cluster; more than two nodes' links can hang on.
const MASTERS: usize = 5;

async fn pair(url: &str) -> (Node, Node) {
    let (here, there) = (Node::start(url).await, Node::start(url).await);
    there.watch("t").await;
    here.publish([event("t", "alert", "before")]).await;
    there.heard.until("before").await;
    (here, there)
}

async fn both_down(here: &Node, there: &Node) {
    here.until_down().await;
    there.until_down().await;
}

#[tokio::test]
async fn what_is_published_while_it_is_gone_arrives_when_it_is_back() {
    let mut redis = RedisSpec::new().start().await;
    let (here, there) = pair(&redis.url()).await;
    redis.kill().await;
    both_down(&here, &there).await;
    here.publish((0..50).map(|n| event("t", "alert", &format!("e{n}")))).await;
    assert_eq!(here.keepers.broker.n_buffered(), 50);
    there.watch("later").await;
    redis.restart().await;
    there.until_up().await;
    here.until_up().await;
    here.publish([event("later", "alert", "later")]).await;
    there.heard.until("later").await;
    there.heard.until("e49").await;
    let wanted: Vec<String> = ["before".to_owned()].into_iter().chain((0..50).map(|n| format!("e{n}"))).collect();
    assert_eq!(there.heard.ids_of("t"), wanted);
    let gaps = there.heard.gaps();
    assert!(gaps.contains(&(GapScope::Tenant(tenant("t")), None)), "what it had was lost with its history: {gaps:?}");
}

#[tokio::test]
async fn one_that_hangs_is_treated_like_one_that_is_gone() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = pair(&redis.url()).await;
    redis.suspend();
    both_down(&here, &there).await;
    here.publish([event("t", "alert", "meanwhile")]).await;
    redis.resume();
    there.until_up().await;
    here.until_up().await;
    here.publish([event("t", "alert", "after")]).await;
    let got = there.heard.until("after").await;
    assert_eq!(got.iter().filter(|id| *id == "meanwhile").count(), 1, "sent again where in doubt, heard once: {got:?}");
}

#[tokio::test]
async fn a_pause_of_all_clients_is_survived() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = pair(&redis.url()).await;
    redis.client_pause(std::time::Duration::from_secs(4)).await;
    both_down(&here, &there).await;
    here.publish([event("t", "alert", "meanwhile")]).await;
    there.until_up().await;
    here.until_up().await;
    here.publish([event("t", "alert", "after")]).await;
    there.heard.until("after").await;
}

#[tokio::test]
async fn more_than_fits_drops_the_oldest_and_the_others_notice() {
    let mut redis = RedisSpec::new().start().await;
    let there = Node::start(&redis.url()).await;
    let config = RedisConfig { buffer_events: 10, ..RedisConfig::parse_url(&redis.url()).expect("a URL") };
    let here = Node::with(config).await;
    there.watch("t").await;
    here.publish([event("t", "alert", "before")]).await;
    there.heard.until("before").await;
    redis.kill().await;
    both_down(&here, &there).await;
    here.publish((0..25).map(|n| event("t", "alert", &format!("e{n}")))).await;
    assert_eq!((here.keepers.broker.n_buffered(), here.keepers.broker.metrics().dropped.get()), (10, 15));
    redis.restart().await;
    there.until_up().await;
    here.until_up().await;
    here.publish([event("t", "alert", "after")]).await;
    let got = there.heard.until("after").await;
    let is_told = async || {
        let is_told = |(of, n_missed): &(GapScope, Option<u64>)| {
            *of == GapScope::Tenant(tenant("t")) && n_missed.is_some_and(|n| n >= 15)
        };
        there.heard.gaps().iter().any(is_told)
    };
    eventually("they are told", PATIENCE, is_told).await;
    assert!(!got.contains(&"e14".to_owned()));
}

#[tokio::test]
async fn a_node_that_starts_before_redis_joins_when_it_comes_and_tells_whom_it_served() {
    let mut redis = RedisSpec::new().start().await;
    redis.kill().await;
    let without_redis = async || Node::without_redis(RedisConfig::parse_url(&redis.url()).expect("a URL")).await;
    let (node, idle) = (without_redis().await, without_redis().await);
    assert!(node.keepers.link.check().is_err());
    node.watch("t").await;
    redis.restart().await;
    node.until_up().await;
    idle.until_up().await;
    idle.watch("t").await;
    redis.cli(&["PUBLISH", "callcenter:calls:t", r#"{"type":"call.incoming","id":"e"}"#]).await;
    assert_eq!(node.heard.until("e").await, ["e"]);
    assert_eq!(idle.heard.until("e").await, ["e"]);
    let is_told = async || node.heard.gaps() == [(GapScope::Tenant(tenant("t")), None)];
    eventually("who was served before is told, once", PATIENCE, is_told).await;
    assert!(idle.heard.gaps().is_empty(), "nothing was missed by one that served nobody");
}

/// A name that leads to one server first, and to another for who connects later.
async fn moving_name(to: &watch::Sender<String>) -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (url, to) = (format!("redis://{}", listener.local_addr().expect("bound")), to.subscribe());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let to = to.borrow().clone();
            connections.spawn(async move {
                if let Ok(mut far) = TcpStream::connect(to).await {
                    let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    (url, tasks)
}

#[tokio::test]
async fn a_name_that_leads_to_another_server_is_followed_when_the_former_became_a_replica() {
    let (old, new) = (RedisSpec::new().start().await, RedisSpec::new().start().await);
    let to = watch::Sender::new(old.addr());
    let (url, _name) = moving_name(&to).await;
    let node = crate::presence::node(&url).await;
    node.watch("t").await;
    old.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    eventually("readiness tells", PATIENCE, async || node.keepers.check_presence().await.is_err()).await;
    assert!(node.keepers.link.check().is_ok(), "there is nowhere else to go");
    to.send_replace(new.addr());
    let is_there = async || {
        let scored = new.cli(&["ZSCORE", "callcenter:nodes", node.name.as_str()]).await;
        !scored.is_empty() && node.keepers.check_link().await.is_ok()
    };
    eventually("the node is at the new one", PATIENCE, is_there).await;
    let hears = async || {
        new.cli(&["PUBLISH", "callcenter:calls:t", r#"{"type":"call.incoming","id":"e"}"#]).await;
        node.heard.ids().contains(&"e".to_owned())
    };
    eventually("and hears there", PATIENCE, hears).await;
    let gap = (GapScope::Tenant(tenant("t")), None);
    let is_told = async || node.heard.gaps().contains(&gap);
    eventually("what was published there meanwhile is missing", PATIENCE, is_told).await;
}

/// Somebody's script that does not end keeps Redis from doing anything else.
#[tokio::test]
async fn a_server_that_is_busy_refuses_no_newcomer() {
    let redis = RedisSpec::new().start().await;
    redis.cli(&["CONFIG", "SET", "lua-time-limit", "50"]).await;
    let node = Node::start(&redis.url()).await;
    let mut stranger = TcpStream::connect(redis.addr()).await.expect("connected");
    stranger.write_all(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n").await.expect("sent");
    let mut another = TcpStream::connect(redis.addr()).await.expect("connected");
    let mut is_busy = async || {
        another.write_all(b"PING\r\n").await.expect("sent");
        let mut answer = [0; 64];
        let n = another.read(&mut answer).await.expect("answered");
        answer[..n].starts_with(b"-BUSY")
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_busy().await {
        assert!(tokio::time::Instant::now() < deadline, "it is never busy");
    }
    // Fails when it is refused.
    node.watch("new").await;
    node.until_down().await;
    redis.cli(&["SCRIPT", "KILL"]).await;
    node.until_up().await;
    redis.cli(&["PUBLISH", "callcenter:calls:new", r#"{"type":"call.incoming","id":"e"}"#]).await;
    node.heard.until("e").await;
}

#[tokio::test]
async fn a_sentinels_new_master_takes_over() {
    let mut sentinel = RedisSentinel::start().await;
    let (here, there) = pair(&sentinel.url()).await;
    let old = sentinel.kill_master().await;
    both_down(&here, &there).await;
    here.publish([event("t", "alert", "meanwhile")]).await;
    sentinel.new_master(old).await;
    eventually("both find the new master", PATIENCE * 3, async || {
        here.keepers.link.check().is_ok() && there.keepers.link.check().is_ok()
    })
    .await;
    here.publish([event("t", "alert", "after")]).await;
    there.heard.until("after").await;
}

/// A master through which no link goes: neither subscriptions nor probes.
async fn master_apart(cluster: &RedisCluster, nodes: [&Node; 2]) -> usize {
    let mut concerned = Vec::new();
    for node in nodes {
        let probes = format!("callcenter:probe:{}", node.name);
        concerned.push(cluster.owner_of(cluster.slot_of(&probes).await).await);
        for (n, master) in cluster.nodes().iter().enumerate() {
            // What the master's own clients listen to.
            if !master.cli(&["PUBSUB", "CHANNELS", &probes]).await.is_empty() {
                concerned.push(n);
            }
        }
    }
    (0..MASTERS).find(|n| !concerned.contains(n)).expect("there are more masters")
}

#[tokio::test]
async fn a_clusters_master_that_hangs_holds_up_only_the_tenants_of_its_slots() {
    let cluster = RedisCluster::start(MASTERS).await;
    let (here, there) = (Node::start(&cluster.url()).await, Node::start(&cluster.url()).await);
    let victim = master_apart(&cluster, [&here, &there]).await;
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    for name in (0..30).map(|n| format!("t{n}")) {
        let owner = cluster.owner_of(cluster.slot_of(&history_of(&name)).await).await;
        if owner == victim { &mut slow } else { &mut fast }.push(name.clone());
        there.watch(&name).await;
        here.publish([event(&name, "alert", "before")]).await;
    }
    cluster.nodes()[victim].suspend();
    let alerts = |of: &[String], id: &str| of.iter().map(|name| event(name, "alert", id)).collect::<Vec<_>>();
    for id in ["slow-1", "slow-2"] {
        tokio::time::timeout(PATIENCE, here.publish(alerts(&slow, id)))
            .await
            .expect("a publisher waits for a while only");
    }
    for id in ["fast-1", "fast-2"] {
        here.publish(alerts(&fast, id)).await;
        there.heard.until(id).await;
    }
    assert_eq!(here.keepers.broker.n_buffered(), slow.len() * 2, "they are sent later");
    cluster.nodes()[victim].resume();
    eventually("all arrive", PATIENCE, async || there.heard.ids().len() >= 30 * 3).await;
    eventually("nothing waits any more", PATIENCE, async || here.keepers.broker.n_buffered() == 0).await;
    for (names, ids) in [(&slow, ["before", "slow-1", "slow-2"]), (&fast, ["before", "fast-1", "fast-2"])] {
        for name in names {
            assert_eq!(there.heard.ids_of(name), ids, "{name}: in order, once");
        }
    }
    assert!(there.heard.gaps().is_empty());
}

/// The key whose server gives a tenant's events their order.
pub(crate) fn history_of(tenant: &str) -> String {
    format!("callcenter:history-head:{{callcenter:online:{tenant}}}")
}
