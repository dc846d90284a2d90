//! A cluster's masters, each by itself: what happens to one connection is no trouble of the others.

use hookswitch_hub::GapScope;
use hookswitch_redis::RedisConfig;
use hookswitch_testkit::{PATIENCE, RedisCluster, eventually};

use crate::rig::{Node, event, tenant};

/// The master at which a node listens.
pub(crate) async fn listening_at(cluster: &RedisCluster, node: &Node) -> usize {
    let probes = format!("callcenter:probe:{}", node.name);
    for (n, master) in cluster.nodes().iter().enumerate() {
        if !master.cli(&["PUBSUB", "CHANNELS", &probes]).await.is_empty() {
            return n;
        }
    }
    panic!("it listens nowhere")
}

#[tokio::test]
async fn a_slot_that_moves_makes_no_node_deaf() {
    let cluster = RedisCluster::start(3).await;
    let config = RedisConfig { sharded_pubsub: true, ..RedisConfig::parse_url(&cluster.url()).expect("a URL") };
    let (here, there) = (Node::with(config.clone()).await, Node::with(config).await);
    there.watch("t").await;
    there.watch("stays").await;
    here.publish([event("t", "alert", "before")]).await;
    there.heard.until("before").await;
    let slot = cluster.slot_of("callcenter:tenant:t").await;
    let home = cluster.owner_of(slot).await;
    for (round, to) in [(home + 1) % 3, home].into_iter().enumerate() {
        cluster.migrate_slot(slot, to).await;
        let hears_again = async || {
            let id = format!("probe-{round}");
            here.publish([event("t", "alert", &id)]).await;
            there.heard.ids().contains(&id)
        };
        eventually("it hears the tenant again", PATIENCE, hears_again).await;
    }
    let gaps = there.heard.gaps();
    assert!(gaps.contains(&(GapScope::Tenant(tenant("t")), None)), "the tenant is told: {gaps:?}");
    assert!(gaps.iter().all(|(scope, _)| *scope == GapScope::Tenant(tenant("t"))), "nobody else is: {gaps:?}");
    assert!(there.keepers.check_link().await.is_ok());
}

#[tokio::test]
async fn a_subscription_that_the_server_dropped_is_found() {
    let cluster = RedisCluster::start(3).await;
    let config = RedisConfig { sharded_pubsub: true, ..RedisConfig::parse_url(&cluster.url()).expect("a URL") };
    let (here, there) = (Node::with(config.clone()).await, Node::with(config).await);
    there.watch("t").await;
    let home = &cluster.nodes()[cluster.owner_of(cluster.slot_of("callcenter:tenant:t").await).await];
    home.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let hears_again = async || {
        here.publish([event("t", "alert", "again")]).await;
        there.heard.ids().contains(&"again".to_owned())
    };
    eventually("it hears the tenant again", PATIENCE, hears_again).await;
}

#[tokio::test]
async fn a_connection_to_a_master_where_nobody_listens_is_no_loss() {
    let cluster = RedisCluster::start(3).await;
    let node = Node::start(&cluster.url()).await;
    node.watch("t").await;
    let at = listening_at(&cluster, &node).await;
    for (n, master) in cluster.nodes().iter().enumerate() {
        if n != at {
            master.cli(&["CLIENT", "KILL", "TYPE", "normal"]).await;
            master.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        }
    }
    let hears = async || {
        cluster.nodes()[at].cli(&["PUBLISH", "callcenter:calls:t", r#"{"type":"alert","id":"e"}"#]).await;
        node.heard.ids().len() > 3
    };
    eventually("it hears on", PATIENCE, hears).await;
    assert!(node.heard.gaps().is_empty(), "{:?}", node.heard.gaps());
}

#[tokio::test]
async fn a_master_that_hangs_where_a_node_listens_is_left_for_another() {
    let cluster = RedisCluster::start(3).await;
    let node = Node::start(&cluster.url()).await;
    node.watch("t").await;
    let at = listening_at(&cluster, &node).await;
    cluster.nodes()[at].suspend();
    node.until_down().await;
    node.until_up().await;
    let other = &cluster.nodes()[(at + 1) % 3];
    let hears = async || {
        other.cli(&["PUBLISH", "callcenter:calls:t", r#"{"type":"alert","id":"e"}"#]).await;
        !node.heard.ids().is_empty()
    };
    eventually("it hears at another", PATIENCE, hears).await;
    let problem = node.keepers.check_link().await.expect_err("one master takes nothing");
    assert!(problem.contains(&cluster.nodes()[at].port().to_string()), "it is named: {problem}");
    cluster.nodes()[at].resume();
    eventually("all is well", PATIENCE * 2, async || node.keepers.check_link().await.is_ok()).await;
}

#[tokio::test]
async fn a_shard_that_hangs_keeps_no_other_tenant_waiting() {
    let cluster = RedisCluster::start(3).await;
    let config = RedisConfig { sharded_pubsub: true, ..RedisConfig::parse_url(&cluster.url()).expect("a URL") };
    let node = Node::with(config).await;
    let at = listening_at(&cluster, &node).await;
    let mut names = (0..100).map(|n| format!("t{n}"));
    let mut on = async |is_meant: &dyn Fn(usize) -> bool| {
        for name in names.by_ref() {
            let slot = cluster.slot_of(&format!("callcenter:tenant:{name}")).await;
            if is_meant(cluster.owner_of(slot).await) {
                return name;
            }
        }
        panic!("no such tenant")
    };
    let (victim, well) = ((at + 1) % 3, (at + 2) % 3);
    let (slow, fast) = (on(&|owner| owner == victim).await, on(&|owner| owner == well).await);
    cluster.nodes()[victim].suspend();
    node.watch(&slow).await;
    let begun = tokio::time::Instant::now();
    node.watch(&fast).await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    cluster.nodes()[victim].resume();
    let is_told = async || node.heard.gaps().contains(&(GapScope::Tenant(tenant(&slow)), None));
    eventually("the slow one is listened to, and told", PATIENCE * 2, is_told).await;
}
