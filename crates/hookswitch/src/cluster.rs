//! What the health page tells of the way to the other nodes.

use hookswitch_gateway::{Probe, Weight};
use hookswitch_redis::RedisKeepers;

/// Whether events reach the other nodes.
pub(crate) fn probe(redis: &RedisKeepers) -> Probe {
    let link = redis.link.clone();
    let check = Box::new(move || -> hookswitch_gateway::BoxFuture<'static, Result<(), String>> {
        Box::pin(std::future::ready(link.check()))
    });
    Probe { name: "redis", weight: Weight::Shared, check }
}

/// How the node hangs together with others just now.
pub(crate) fn mode(redis: &RedisKeepers) -> Box<dyn Fn() -> &'static str + Send + Sync> {
    let link = redis.link.clone();
    Box::new(move || if link.check().is_ok() { "cluster" } else { "single-node" })
}
