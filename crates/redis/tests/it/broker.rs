//! Events from node to node.

use std::sync::Arc;

use hookswitch_hub::{Broker as _, BrokerSink};
use hookswitch_protocol::{Event, Payload, Topic};
use hookswitch_redis::RedisConfig;
use hookswitch_testkit::{RedisCluster, RedisServer, RedisSpec, contract};

use crate::rig::{Node, event, keepers, tenant, until_up};

async fn check_contract(url: &str, sharded_pubsub: bool) {
    let config = RedisConfig { sharded_pubsub, ..RedisConfig::parse_url(url).expect(url) };
    // A prefix for each transport: none hears of another's nodes.
    let n_transports = std::cell::Cell::new(0);
    let open = async || {
        n_transports.set(n_transports.get() + 1);
        RedisConfig { prefix: format!("test-{}", n_transports.get()), ..config.clone() }
    };
    let join = async |config: &RedisConfig, sink: Arc<dyn BrokerSink>| {
        let (keepers, _scope) = keepers(config.clone(), sink).await;
        until_up(&keepers).await;
        keepers.broker
    };
    contract::broker::check(open, join).await;
}

#[tokio::test]
async fn one_redis_keeps_the_promise() {
    let redis = RedisSpec::new().start().await;
    check_contract(&redis.url(), false).await;
    check_contract(&redis.url(), true).await;
}

#[tokio::test]
async fn a_cluster_keeps_the_promise() {
    let cluster = RedisCluster::start(3).await;
    check_contract(&cluster.url(), false).await;
    check_contract(&cluster.url(), true).await;
}

#[tokio::test]
async fn password_database_and_tls_are_used() {
    for spec in [RedisSpec::new().password("letters42"), RedisSpec::new().tls()] {
        let redis = spec.start().await;
        let mut config = RedisConfig::parse_url(&redis.url()).expect("a URL");
        config.database = 3;
        if let Some(tls) = &mut config.tls {
            tls.ca_file = redis.ca_file();
        }
        let (here, there) = (Node::with(config.clone()).await, Node::with(config).await);
        there.watch("t").await;
        here.publish([event("t", "alert", "e")]).await;
        assert_eq!(there.heard.until("e").await, ["e"]);
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_node_by_itself_that_says_why() {
    let redis = RedisSpec::new().password("letters42").start().await;
    let url = format!("redis://:wrong@127.0.0.1:{}", redis.port());
    let node = Node::without_redis(RedisConfig::parse_url(&url).expect("a URL")).await;
    let problem = node.keepers.link.check().expect_err("it is by itself");
    assert!(!problem.contains("wrong"), "{problem}");
}

#[tokio::test]
async fn every_class_of_events_keeps_one_order() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    there.watch("t").await;
    let kinds = ["call.incoming", "agent.login", "queue.stats", "chat.message", "ticket.created"];
    let wall = Topic::parse("wall").expect("legal");
    let mut wanted = Vec::new();
    for n in 0..500 {
        let mut one = event("t", kinds[n % 5], &format!("e{n}"));
        one.topic = (n % 7 == 0).then(|| wall.clone());
        wanted.push(one.id.as_str().to_owned());
        here.publish([one]).await;
    }
    assert_eq!(there.heard.until("e499").await, wanted);
    assert!(there.heard.gaps().is_empty());
}

#[tokio::test]
async fn a_tenant_nobody_serves_here_causes_no_traffic() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    there.watch("busy").await;
    let count = async |of: &str| redis.cli(&["PUBSUB", "NUMSUB", &format!("callcenter:calls:{of}")]).await;
    assert!(count("busy").await.ends_with('1') && count("quiet").await.ends_with('0'));
    let payload = Payload::parse(&format!("{{\"filler\":\"{}\"}}", "x".repeat(10_000))).expect("an object");
    let large = |n| Event { payload: payload.clone(), ..event("quiet", "call.incoming", &format!("q{n}")) };
    let (n_in, n_out) = traffic(&redis).await;
    here.publish((0..100).map(large)).await;
    let (n_in_after, n_out_after) = traffic(&redis).await;
    assert!(n_in_after - n_in > 1_000_000, "a megabyte went in");
    assert!(n_out_after - n_out < 100_000, "and nobody was sent it: {}", n_out_after - n_out);
    here.publish([event("busy", "call.incoming", "last")]).await;
    assert_eq!(there.heard.until("last").await, ["last"]);
    there.keepers.broker.unwatch(&tenant("busy")).await.expect("unwatch");
    assert!(count("busy").await.ends_with('0'));
}

/// Bytes that went into this Redis, and out of it.
async fn traffic(redis: &RedisServer) -> (u64, u64) {
    let stats = redis.cli(&["INFO", "stats"]).await;
    let read = |name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|n| n.trim().parse().ok()).unwrap_or_else(|| panic!("{name} in {stats}"))
    };
    (read("total_net_input_bytes:"), read("total_net_output_bytes:"))
}

#[tokio::test]
async fn a_clusters_slots_move_and_nothing_is_lost_or_doubled() {
    let cluster = RedisCluster::start(3).await;
    let (here, there) = (Node::start(&cluster.url()).await, Node::start(&cluster.url()).await);
    there.watch("t").await;
    let mut wanted = Vec::new();
    for n in 0..300 {
        let id = format!("e{n}");
        here.publish([event("t", if n % 2 == 0 { "call.incoming" } else { "alert" }, &id)]).await;
        wanted.push(id);
        if n == 100 {
            // The slot whose owner this tenant's events go through.
            let slot = cluster.slot_of("t").await;
            let to = (cluster.owner_of(slot).await + 1) % 3;
            cluster.migrate_slot(slot, to).await;
        }
    }
    assert_eq!(there.heard.until("e299").await, wanted);
}
