//! What the health page tells of the way to the other nodes.

use hookswitch_gateway::{BoxFuture, NodeQueue, Probe, Severity};
use hookswitch_redis::RedisKeepers;

/// Whether events reach the other nodes and every server takes what is written; whether this node's users are
/// present to the others.
pub(crate) fn probes(redis: &RedisKeepers) -> [Probe; 2] {
    let (link, presence) = (redis.clone(), redis.clone());
    let link = move || -> BoxFuture<'static, Result<(), String>> {
        let redis = link.clone();
        Box::pin(async move { redis.check_link().await })
    };
    let presence = move || -> BoxFuture<'static, Result<(), String>> {
        let redis = presence.clone();
        Box::pin(async move { redis.check_presence().await })
    };
    [
        Probe { name: "redis", severity: Severity::Shared, check: Box::new(link) },
        Probe { name: "presence", severity: Severity::Shared, check: Box::new(presence) },
    ]
}

/// What waits for Redis.
pub(crate) fn queue(redis: &RedisKeepers) -> NodeQueue {
    let broker = redis.broker.clone();
    let used = Box::new(move || broker.n_buffered() as u64);
    NodeQueue { name: "redis_buffered", bound: redis.link.buffer_events(), used }
}

/// How the node hangs together with others just now.
pub(crate) fn mode(redis: &RedisKeepers) -> Box<dyn Fn() -> &'static str + Send + Sync> {
    let link = redis.link.clone();
    Box::new(move || if link.check().is_ok() { "cluster" } else { "single-node" })
}
