//! What the health and metrics pages tell of the way to the other nodes.

use hookswitch_gateway::{Figure, FigureSource, Probe, Weight};
use hookswitch_redis::RedisKeepers;

use crate::gateway_part::Outside;

/// The same pages for a node among others.
pub(crate) fn tell(mut probes: Vec<Probe>, redis: &RedisKeepers) -> Outside {
    let link = redis.link.clone();
    probes.push(Probe {
        name: "redis",
        weight: Weight::Shared,
        check: Box::new(move || Box::pin(std::future::ready(link.check()))),
    });
    let link = redis.link.clone();
    let mode = Box::new(move || if link.check().is_ok() { "cluster" } else { "single-node" });
    Outside::new(mode, probes, vec![figures(redis), kept(redis)])
}

/// Figures of what is kept in Redis.
fn kept(redis: &RedisKeepers) -> FigureSource {
    let (presence, offline) = (redis.presence.clone(), redis.offline.clone());
    Box::new(move || {
        let (presence, offline) = (presence.metrics(), offline.metrics());
        vec![
            Figure::counter("presence_restorations", "Times all leases were said again", presence.restorations.get()),
            Figure::counter(
                "presence_nodes_swept",
                "Lost nodes whose users were taken offline",
                presence.nodes_swept.get(),
            ),
            Figure::counter("presence_users_swept", "Users taken offline with a lost node", presence.users_swept.get()),
            Figure::counter(
                "presence_users_expired",
                "Users online that no node answered for",
                presence.users_expired.get(),
            ),
            Figure::counter("presence_failures", "Calls about presence that had to wait", presence.failures.get()),
            Figure::counter("offline_kept", "Messages put into Redis for absent users", offline.kept.get()),
            Figure::counter("offline_dropped", "Messages dropped, too many or too old", offline.dropped.get()),
            Figure::counter(
                "offline_refused",
                "Foreign messages for absent users that were none",
                offline.refused.get(),
            ),
            Figure::counter(
                "offline_taken_over",
                "Claims of lost nodes whose messages wait again",
                offline.taken_over.get(),
            ),
        ]
    })
}

fn figures(redis: &RedisKeepers) -> FigureSource {
    let (link, broker) = (redis.link.clone(), redis.broker.clone());
    Box::new(move || {
        let events = broker.metrics();
        vec![
            Figure::gauge("redis_up", "Whether events reach the other nodes now", u64::from(link.check().is_ok())),
            Figure::gauge("redis_buffered", "Messages that wait for Redis", broker.n_buffered() as u64),
            Figure::counter("redis_sent", "Messages Redis took for the other nodes", events.sent.get()),
            Figure::counter("redis_dropped", "Messages dropped, Redis being away for too long", events.dropped.get()),
            Figure::counter("redis_received", "Events of other nodes and programs taken in", events.received.get()),
            Figure::counter("redis_refused", "Messages from Redis that were no events", events.refused.get()),
            Figure::counter("redis_missed", "Events of other nodes that never came", events.missed.get()),
        ]
    })
}
