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
    far.publish((0..13).map(|n| event("t", "alert", &format!("e{n}")))).await;
    far.publish((0..3).map(|n| event("other", "alert", &format!("o{n}")))).await;
    assert_eq!(far.keepers.broker.metrics().dropped.get(), 6, "of the tenant that has the most");
    proxy.heal();
    let is_told = async || near.heard.gaps() == [(GapScope::Tenant(tenant("t")), Some(6))];
    eventually("six are missed", PATIENCE, is_told).await;
    far.publish([event("t", "alert", "after")]).await;
    let kept = (6..13).map(|n| format!("e{n}"));
    let wanted: Vec<String> = ["before".to_owned()].into_iter().chain(kept).chain(["after".to_owned()]).collect();
    assert_eq!(near.heard.until("after").await, wanted);
    assert_eq!(near.heard.gaps().len(), 1, "told once");
}

#[tokio::test]
async fn a_tenant_that_fills_the_buffer_costs_its_neighbour_nothing() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let config = RedisConfig::parse_url(&format!("redis://{}", proxy.addr())).expect("a URL");
    let far = Node::with(RedisConfig { buffer_events: 100, ..config }).await;
    let near = Node::start(&redis.url()).await;
    near.watch("quiet").await;
    proxy.set(Fault::Stall);
    far.until_down().await;
    far.publish((0..5).map(|n| event("quiet", "alert", &format!("q{n}")))).await;
    far.publish((0..1_000).map(|n| event("loud", "alert", &format!("l{n}")))).await;
    proxy.heal();
    assert_eq!(near.heard.until("q4").await, ["q0", "q1", "q2", "q3", "q4"]);
    assert!(near.heard.gaps().is_empty());
}

#[tokio::test]
async fn what_is_unsent_when_a_node_ends_is_counted() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let far = Node::start(&format!("redis://{}", proxy.addr())).await;
    proxy.set(Fault::Stall);
    far.until_down().await;
    far.publish((0..7).map(|n| event("t", "alert", &format!("e{n}")))).await;
    far.shut_down(PATIENCE).await;
    assert_eq!(far.keepers.broker.metrics().unsent.get(), 7);
}

#[tokio::test]
async fn a_slow_answer_to_one_subscription_is_no_reason_to_close_the_link() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    node.watch("before").await;
    redis.client_pause(std::time::Duration::from_millis(1_300)).await;
    let watching = node.watch("slow");
    let looking = async {
        loop {
            assert!(node.keepers.link.check().is_ok(), "one answer is late, the next probe is not");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = watching => {}
        () = looking => {}
    }
    let n_subscribed = redis.cli(&["PUBSUB", "NUMSUB", "callcenter:tenant:slow"]).await;
    assert!(n_subscribed.ends_with('1'), "{n_subscribed}");
    assert!(node.heard.gaps().is_empty());
}

#[tokio::test]
async fn what_this_node_is_to_keep_is_handed_on_though_its_tenant_is_not_watched() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    let envelope = |id: &str, holder: &str| {
        format!(
            r#"{{"type":"wall.update","tenant_id":"left","user_id":7,"id":"{id}","hookswitch":{{"node":"x","seq":1,"holders":["{holder}"]}}}}"#
        )
    };
    redis.cli(&["PUBLISH", "callcenter:custom:wall", &envelope("anothers", "y")]).await;
    redis.cli(&["PUBLISH", "callcenter:custom:wall", &envelope("ours", node.name.as_str())]).await;
    assert_eq!(node.heard.until("ours").await, ["ours"]);
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
