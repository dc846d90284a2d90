//! What readiness is: a renewed lease, a probe and a script that writes through every server.

use hookswitch_testkit::{PATIENCE, RedisCluster, RedisSpec, eventually};

use crate::presence::{config, node, user};
use crate::rig::Node;

async fn until_well(node: &Node) {
    let is_well = async || node.keepers.check_link().await.is_ok() && node.keepers.check_presence().await.is_ok();
    eventually("all is well", PATIENCE, is_well).await;
}

#[tokio::test]
async fn presence_that_is_broken_is_not_ready() {
    let redis = RedisSpec::new().start().await;
    let node = node(&redis.url()).await;
    until_well(&node).await;
    redis.cli(&["DEL", "callcenter:nodes"]).await;
    redis.cli(&["HSET", "callcenter:nodes", "a", "b"]).await;
    let problem = node.keepers.check_presence().await.expect_err("its lease cannot be renewed");
    assert!(problem.contains("WRONGTYPE") && problem.contains("lease"), "{problem}");
    assert!(node.keepers.link.metrics().failed_commands.get("wrong_type") > 0);
    redis.cli(&["DEL", "callcenter:nodes"]).await;
    until_well(&node).await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_not_ready() {
    let redis = RedisSpec::new().start().await;
    let node = Node::with(config(&redis.url())).await;
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    for problem in [node.keepers.check_link().await, node.keepers.check_presence().await] {
        let problem = problem.expect_err("it is a replica");
        assert!(problem.contains("READONLY"), "{problem}");
    }
    redis.cli(&["REPLICAOF", "NO", "ONE"]).await;
    until_well(&node).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let problem = node.keepers.check_link().await.expect_err("it has no memory");
    assert!(problem.contains("OOM"), "{problem}");
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    until_well(&node).await;
    redis.cli(&["ACL", "SETUSER", "default", "-eval", "-evalsha"]).await;
    let problem = node.keepers.check_presence().await.expect_err("scripts are refused");
    assert!(problem.contains("NOPERM"), "{problem}");
    node.touch(&user("7"), 1).await;
    assert!(node.keepers.link.metrics().failed_commands.get("no_permission") > 0);
}

#[tokio::test]
async fn one_shard_that_takes_nothing_is_not_ready_and_named() {
    let cluster = RedisCluster::start(3).await;
    let node = node(&cluster.url()).await;
    until_well(&node).await;
    for victim in cluster.nodes() {
        victim.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
        let problem = node.keepers.check_link().await.expect_err("one takes no writes");
        assert!(problem.contains("NOREPLICAS"), "{problem}");
        victim.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
        until_well(&node).await;
    }
}
