//! Events that do not come: whoever may miss them is told, and nobody waits for them for long.

use hookswitch_hub::GapScope;
use hookswitch_redis::RedisConfig;
use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisSpec, eventually};

use crate::rig::{Node, event, tenant};

#[tokio::test]
async fn a_missing_number_is_given_up_in_the_midst_of_traffic() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    there.watch("t").await;
    there.watch("busy").await;
    for seq in [0, 2] {
        let forged = format!(r#"{{"type":"alert","id":"a{seq}","hookswitch":{{"node":"x","seq":{seq}}}}}"#);
        redis.cli(&["PUBLISH", "callcenter:tenant:t", &forged]).await;
    }
    let traffic = async {
        loop {
            here.publish([event("busy", "alert", "more")]).await;
        }
    };
    tokio::select! {
        _heard = there.heard.until("a2") => {}
        () = traffic => {}
    }
    assert_eq!(there.heard.gaps(), [(GapScope::Tenant(tenant("t")), Some(1))]);
}

#[tokio::test]
async fn a_tenants_last_events_that_were_dropped_are_missed_too() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let config = RedisConfig::parse_url(&format!("redis://{}", proxy.addr())).expect("a URL");
    let far = Node::with(RedisConfig { buffer_events: 10, ..config }).await;
    let near = Node::start(&redis.url()).await;
    near.watch("t").await;
    far.publish([event("t", "alert", "before")]).await;
    near.heard.until("before").await;
    proxy.set(Fault::Stall);
    far.until_down().await;
    far.publish((0..3).map(|n| event("t", "alert", &format!("e{n}")))).await;
    far.publish((0..10).map(|n| event("other", "alert", &format!("o{n}")))).await;
    assert_eq!(far.keepers.broker.metrics().dropped.get(), 3);
    proxy.heal();
    let is_told = async || near.heard.gaps() == [(GapScope::Tenant(tenant("t")), Some(3))];
    eventually("three are missed", PATIENCE, is_told).await;
    far.publish([event("t", "alert", "after")]).await;
    assert_eq!(near.heard.until("after").await, ["before", "after"]);
    assert_eq!(near.heard.gaps().len(), 1, "told once");
}

#[tokio::test]
async fn a_tenant_is_watched_when_redis_has_confirmed_it() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let node = Node::start(&format!("redis://{}", proxy.addr())).await;
    proxy.set(Fault::Stall);
    node.watch("t").await;
    assert!(node.keepers.link.check().is_err(), "what was not confirmed is asked for anew before the link opens");
    proxy.heal();
    node.until_up().await;
    let n_subscribed = redis.cli(&["PUBSUB", "NUMSUB", "callcenter:tenant:t"]).await;
    assert!(n_subscribed.ends_with('1'), "{n_subscribed}");
}
