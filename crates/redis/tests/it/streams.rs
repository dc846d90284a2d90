//! Events by their positions: what is lost on the way is had from the tenant's stream.

use hookswitch_hub::{Broker as _, Origin};
use hookswitch_redis::history::{AppendEvent, HistoryStream, Marks};
use hookswitch_redis::{RedisConfig, StreamLimits};
use hookswitch_testkit::{Fault, FaultProxy, PATIENCE, RedisSpec, eventually};

use crate::rig::{Node, event, tenant};

fn positions(node: &Node) -> Vec<Option<u64>> {
    let events = node.heard.events.lock().expect("nobody panicked");
    events.iter().map(|received| received.position.map(|at| at.offset)).collect()
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("e{n}")).collect()
}

#[tokio::test]
async fn the_subscription_is_cut_and_nothing_is_missing() {
    let redis = RedisSpec::new().start().await;
    let here = Node::start(&redis.url()).await;
    let there = Node::start(&redis.url()).await;
    here.watch("t").await;
    there.watch("t").await;
    for n in 0..60 {
        here.publish([event("t", "alert", &format!("e{n}"))]).await;
        if n % 20 == 10 {
            // Only what listens: both listen anew.
            redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        }
    }
    // The publisher was cut off, too, and gave its own meanwhile without positions.
    assert_eq!(there.heard.until("e59").await, ids(0..60));
    assert!(there.heard.gaps().is_empty(), "{:?}", there.heard.gaps());
    assert_eq!(positions(&there), (1..=60).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_in_the_stream_and_was_not_published_is_fetched() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    there.watch("t").await;
    here.publish([event("t", "alert", "e0")]).await;
    there.heard.until("e0").await;
    // A node that appends, and whose messages are all lost.
    let deaf = Node::start(&redis.url()).await;
    let history = HistoryStream::new(deaf.keepers.link.clone(), StreamLimits::default());
    let lost = async |id: &str| {
        let envelope = event("t", "alert", id).encode().into();
        let batch = history.batch(vec![AppendEvent { envelope, channel: None, marks: Marks::default() }]);
        history.append(&tenant("t"), None, &batch).await.expect("appended")
    };
    lost("e1").await;
    here.publish([event("t", "alert", "e2")]).await;
    assert_eq!(there.heard.until("e2").await, ids(0..3), "a later one shows it");
    let head = lost("e3").await;
    let said = format!(r#"{{"node":"x","head":"{}:{}"}}"#, head.epoch, head.offsets.end());
    redis.cli(&["PUBLISH", "callcenter:internal:t", &said]).await;
    assert_eq!(there.heard.until("e3").await, ids(0..4), "before a silence somebody says where the stream ends");
    assert!(there.heard.gaps().is_empty());
    assert!(there.keepers.broker.metrics().fetched.get() >= 2);
}

#[tokio::test]
async fn while_redis_is_away_events_are_given_here_and_appended_later_once() {
    let redis = RedisSpec::new().start().await;
    let proxy = FaultProxy::start(&redis.addr()).await;
    let far = Node::with(RedisConfig::parse_url(&format!("redis://{}", proxy.addr())).expect("a URL")).await;
    let near = Node::start(&redis.url()).await;
    far.watch("t").await;
    near.watch("t").await;
    far.publish([event("t", "alert", "e0")]).await;
    proxy.set(Fault::Stall);
    far.publish([event("t", "alert", "e1")]).await;
    far.until_down().await;
    far.publish([event("t", "alert", "e2")]).await;
    assert_eq!(far.heard.until("e2").await, ids(0..3), "at once, in order");
    near.publish([event("t", "alert", "n0")]).await;
    proxy.heal();
    far.until_up().await;
    assert_eq!(near.heard.until("e2").await, ["e0", "n0", "e1", "e2"]);
    let known = async || {
        let events = far.heard.events.lock().expect("nobody panicked");
        events.iter().filter(|received| received.is_known).count() == 2
    };
    eventually("they have positions here, too", PATIENCE, known).await;
    let live: Vec<String> = {
        let events = far.heard.events.lock().expect("nobody panicked");
        events.iter().filter(|one| !one.is_known).map(|one| one.event.id.as_str().to_owned()).collect()
    };
    assert_eq!(live, ["e0", "e1", "e2", "n0"], "each once");
    assert!(near.heard.gaps().is_empty() && far.heard.gaps().is_empty());
}

#[tokio::test]
async fn a_redis_that_is_full_passes_events_on_without_positions() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    here.watch("t").await;
    there.watch("t").await;
    here.publish([event("t", "alert", "e0")]).await;
    there.heard.until("e0").await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for id in ["e1", "e2"] {
        here.publish([event("t", "alert", id)]).await;
    }
    assert_eq!(there.heard.until("e2").await, ids(0..3));
    assert_eq!(here.heard.until("e2").await, ids(0..3));
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    for node in [&here, &there] {
        let known = async || {
            let events = node.heard.events.lock().expect("nobody panicked");
            events.iter().filter(|received| received.is_known).count() == 2
        };
        eventually("they get their positions", PATIENCE, known).await;
    }
    here.publish([event("t", "alert", "e3")]).await;
    there.heard.until("e3").await;
    assert!(there.heard.gaps().is_empty());
}

#[tokio::test]
async fn what_a_client_missed_is_read_from_the_stream_in_one_go() {
    let redis = RedisSpec::new().start().await;
    let (here, there) = (Node::start(&redis.url()).await, Node::start(&redis.url()).await);
    for id in ids(0..30) {
        here.publish([event("t", "alert", &id)]).await;
    }
    there.watch("t").await;
    there.keepers.broker.recover(&tenant("t"), true).await;
    let past = there.heard.pasts.lock().expect("nobody panicked").pop().expect("it was given");
    let read: Vec<_> = past.events.iter().map(|received| received.event.id.as_str().to_owned()).collect();
    assert_eq!((read, past.held_after.offset), (ids(0..30), 0));
    let is_others = |received: &hookswitch_hub::Received| matches!(received.origin, Origin::Node { .. });
    assert!(past.events.iter().all(|one| one.is_known && is_others(one)));
    assert!(there.heard.ids().is_empty(), "none of it is given as it comes");
}
