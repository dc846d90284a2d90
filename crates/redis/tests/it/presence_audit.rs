//! Who compares presence with the leases: one node at a time, and no tenant waits for another.

use hookswitch_testkit::{PATIENCE, RedisSpec, eventually};
use tokio::time::Instant;

use crate::presence::{LEASE, node, of};

/// For so long an audit is one node's; `3/4` of the interval between two.
const TAKEN_FOR: std::time::Duration = LEASE.saturating_mul(3);

#[tokio::test]
async fn a_tenant_is_audited_by_one_node_at_a_time() {
    let redis = RedisSpec::new().start().await;
    let nodes = [node(&redis.url()).await, node(&redis.url()).await, node(&redis.url()).await];
    for (n, node) in nodes.iter().enumerate() {
        node.touch(&of("t", &n.to_string()), 1).await;
    }
    let begun = Instant::now();
    let n_audits = || nodes.iter().map(|node| node.keepers.presence.metrics().audits.get()).sum::<u64>();
    eventually("there are some", PATIENCE, async || n_audits() >= 2).await;
    let at_most = begun.elapsed().as_millis() / TAKEN_FOR.as_millis() + 1;
    assert!(u128::from(n_audits()) <= at_most, "{} instead of {at_most}", n_audits());
    let strays: u64 = nodes.iter().map(|node| node.keepers.presence.metrics().strays.get()).sum();
    assert_eq!(strays, 0, "everything was as it should be");
}

#[tokio::test]
async fn a_member_without_a_lease_holds_up_no_other_tenant() {
    let redis = RedisSpec::new().start().await;
    let node = node(&redis.url()).await;
    // Each one would hold up all behind it for a third of a lease.
    let tenants: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    for tenant in &tenants {
        node.touch(&of(tenant, "7"), 1).await;
        redis.cli(&["SADD", &format!("callcenter:online:{tenant}"), "99"]).await;
    }
    let n_expired = || node.keepers.presence.metrics().users_expired.get();
    eventually("the first expire", PATIENCE, async || n_expired() > 0).await;
    let first = Instant::now();
    eventually("all do", PATIENCE, async || n_expired() == 40).await;
    assert!(first.elapsed() < LEASE * 4, "not one after the other: {:?}", first.elapsed());
}

#[tokio::test]
async fn who_is_online_is_read_in_pages() {
    let redis = RedisSpec::new().start().await;
    let node = crate::presence::node(&redis.url()).await;
    let names: Vec<String> = (1..=5_000).map(|n| n.to_string()).collect();
    let mut add = vec!["SADD", "callcenter:online:t"];
    add.extend(names.iter().map(String::as_str));
    redis.cli(&add).await;
    redis.cli(&["SADD", "callcenter:online:t", "not a user id"]).await;
    redis.cli(&["CONFIG", "RESETSTAT"]).await;
    let mut wanted = names;
    wanted.sort();
    assert_eq!(node.online("t").await, wanted);
    let stats = redis.cli(&["INFO", "commandstats"]).await;
    let calls =
        stats.lines().find_map(|line| line.strip_prefix("cmdstat_sscan:calls=")?.split(',').next()?.parse().ok());
    assert!(calls.is_some_and(|n_calls: u32| n_calls >= 4), "about a thousand at a time: {calls:?}");
}
