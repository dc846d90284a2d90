//! Programs in other languages, played by `redis-cli`.

use hookswitch_hub::Origin;
use hookswitch_protocol::UserId;
use hookswitch_testkit::RedisSpec;

use crate::rig::{Node, event};

#[tokio::test]
async fn what_they_publish_arrives_from_every_channel() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    node.watch("t").await;
    let publish = async |channel: &str, message: &str| redis.cli(&["PUBLISH", channel, message]).await;
    publish("callcenter:events", r#"{"TenantID":"t","UserID":456,"Message":{"type":"alert","id":"main"}}"#).await;
    publish("callcenter:calls:t", r#"{"type":"call.incoming","payload":{"x":1.50},"id":"call"}"#).await;
    publish("callcenter:agents:t", r#"{"type":"agent.login","id":"agent"}"#).await;
    publish("callcenter:queues:t", r#"{"type":"queue.stats","id":"queue"}"#).await;
    publish("callcenter:custom:wall", r#"{"type":"wall.update","tenant_id":"t","id":"topic"}"#).await;
    assert_eq!(node.heard.until("topic").await, ["main", "call", "agent", "queue", "topic"]);
    let main = node.heard.until_some("the main channel's", |got| got.event.id.as_str() == "main").await;
    assert_eq!((main.event.user.clone(), main.origin), (Some(UserId::from(456)), Origin::Foreign));
    let topic = node.heard.until_some("the topic's", |got| got.event.id.as_str() == "topic").await;
    assert_eq!(topic.event.topic.as_ref().map(hookswitch_protocol::Topic::as_str), Some("wall"));
}

#[tokio::test]
async fn what_is_not_theirs_to_say_is_refused_and_counted() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    node.watch("t").await;
    let bad = [
        ("callcenter:calls:t", "no JSON"),
        ("callcenter:calls:t", r#"{"type":"call.incoming","tenant_id":"other"}"#),
        ("callcenter:events", r#"{"TenantID":"t","Message":{"type":"pong"}}"#),
        ("callcenter:custom:wall", r#"{"type":"wall.update"}"#),
    ];
    for (channel, message) in bad {
        redis.cli(&["PUBLISH", channel, message]).await;
    }
    redis.cli(&["PUBLISH", "callcenter:events", r#"{"TenantID":"elsewhere","Message":{"type":"alert"}}"#]).await;
    redis.cli(&["PUBLISH", "callcenter:tenant:t", r#"{"type":"alert","id":"last"}"#]).await;
    assert_eq!(node.heard.until("last").await, ["last"]);
    assert_eq!(node.keepers.broker.metrics().refused.get(), bad.len() as u64);
}

/// Has Redis itself publish an alert with so many bytes of payload.
async fn publish_large(redis: &hookswitch_testkit::RedisServer, channel: &str, n_bytes: usize) {
    let script = format!(
        r#"return redis.call('PUBLISH', KEYS[1], '{{"type":"alert","id":"large","payload":{{"x":"' .. string.rep('x', {n_bytes}) .. '"}}}}')"#
    );
    redis.cli(&["EVAL", &script, "1", channel]).await;
}

#[tokio::test]
async fn what_is_larger_than_an_event_is_counted_and_reaches_nobody() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    node.watch("t").await;
    for n_bytes in [2_000_000, 1_048_576] {
        publish_large(&redis, "callcenter:calls:t", n_bytes).await;
    }
    redis.cli(&["PUBLISH", "callcenter:calls:t", r#"{"type":"alert","id":"small"}"#]).await;
    assert_eq!(node.heard.until("small").await, ["small"]);
    assert_eq!(node.keepers.broker.metrics().too_large.get(), 2);
    publish_large(&redis, "callcenter:calls:t", 1_000_000).await;
    assert_eq!(node.heard.until("large").await, ["small", "large"]);
}

#[tokio::test]
async fn they_hear_our_events_as_bare_envelopes() {
    let redis = RedisSpec::new().start().await;
    let node = Node::start(&redis.url()).await;
    let listener = Node::start(&redis.url()).await;
    listener.watch("t").await;
    node.publish([event("t", "call.incoming", "e")]).await;
    let got = listener.heard.until_some("ours", |got| got.event.id.as_str() == "e").await;
    assert_eq!(got.event.payload.as_str(), r#"{"unique_id":"1.2","b": 2.50}"#);
    let channels = redis.cli(&["PUBSUB", "CHANNELS", "callcenter:*"]).await;
    for channel in ["callcenter:events", "callcenter:calls:t", "callcenter:agents:t", "callcenter:tenant:t"] {
        assert!(channels.lines().any(|line| line == channel), "{channel} in {channels}");
    }
}
