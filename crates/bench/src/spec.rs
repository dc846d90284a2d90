//! What the orchestrator tells the load client, and what the load client tells back: one JSON object each way.

use std::net::SocketAddr;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// How fast events are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// As fast as answers and deliveries come back (see [`window`] and [`MAX_UNANSWERED`]).
    Full,
    /// At a fixed rate, whatever comes back.
    Fixed { events_per_second: u32 },
}

/// Requests on the way at full speed that have no answer yet.
pub(crate) const MAX_UNANSWERED: usize = 8;

/// Events outstanding at full speed; an event is outstanding until every subscriber has received it.
pub(crate) fn window(connections: usize) -> usize {
    (20_000 / connections.max(1)).clamp(4, 64)
}

/// Who publishes, how much at once, and how fast.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Publishing {
    /// Connections that publish.
    pub(crate) publishers: u32,
    /// Events per request.
    pub(crate) batch: usize,
    /// Events outstanding at full speed.
    pub(crate) window: usize,
    pub(crate) pace: Pace,
}

/// How subscribers are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transport {
    WebSocket,
    /// Server-sent events.
    EventStream,
}

/// How long events are published.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Phases {
    pub(crate) warm_up_ms: u64,
    pub(crate) measured_ms: u64,
}

/// One run of the load client against one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Where events are published.
    pub(crate) address: SocketAddr,
    /// The subject's process and others that take part, whose figures are read from `/proc`.
    pub(crate) pids: Vec<u32>,
    /// What tokens are signed with.
    pub(crate) secret: String,
    pub(crate) task: Task,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Deliveries to `connections`, while `bystanders` of the same tenant listen to something else.
    Fanout { transport: Transport, connections: usize, bystanders: usize, pace: Pace, phases: Phases },
    /// From the node at `address` to another one: `here` connections at the first, `there` at the other.
    Cluster { other: SocketAddr, here: usize, there: usize, publishing: Publishing, phases: Phases },
    /// Memory and connect cost between two counts of idle connections.
    Idle { few: usize, many: usize },
}

/// What came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Fanout(Fanout),
    Cluster(Cluster),
    Idle(Idle),
}

/// Figures of the measured part of a fan-out; the counts of wrongs cover the warm-up as well.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fanout {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    #[serde(flatten)]
    pub(crate) latency: Quantiles,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
    /// Events that reached a bystander.
    pub(crate) strayed: u64,
    /// Messages that are neither an event of ours nor a pong, such as the notice of drops.
    pub(crate) unexpected: u64,
}

impl Fanout {
    /// Processor time of the subject, microseconds per delivery; the same number as seconds per million deliveries.
    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.deliveries.max(1) as f64
    }

    pub(crate) fn deliveries_per_second(&self) -> f64 {
        self.deliveries as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Every event arrives at every connection, so this is the rate at any of them too.
    pub(crate) fn events_per_second(&self) -> f64 {
        self.events as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Everything that must not happen, together.
    pub(crate) fn wrongs(&self) -> u64 {
        self.lost + self.doubled + self.out_of_order + self.strayed
    }
}

/// Figures of a run over two nodes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cluster {
    /// Of all connections together; the latency is that at the node where events are published.
    pub(crate) fanout: Fanout,
    /// Latency at the other node.
    pub(crate) there: Quantiles,
    /// What the way to the other node added, event by event; zero unless there is one connection at each.
    pub(crate) added: Quantiles,
    /// Processor time of the processes, in the order in which they were named.
    pub(crate) cpu_seconds: Vec<f64>,
}

/// Two points of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

impl From<&Histogram<u64>> for Quantiles {
    fn from(nanos: &Histogram<u64>) -> Self {
        let ms = |share: f64| nanos.value_at_quantile(share) as f64 / 1e6;
        Self { p50_ms: ms(0.5), p99_ms: ms(0.99) }
    }
}

/// For latencies in nanoseconds, good to 1 %; recorded saturating, what takes longer than an hour counts as an hour.
pub(crate) fn latencies() -> Histogram<u64> {
    const HOUR: u64 = 3_600_000_000_000;
    Histogram::new_with_max(HOUR, 2).expect("legal bounds")
}

/// Figures of idle connections.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// Slope of resident memory between the two counts, subscribed connections.
    pub(crate) bytes_per_connection: f64,
    /// Processor time from TCP accept to the connection's being attached, token check included.
    pub(crate) cpu_us_per_connect: f64,
    pub(crate) connects_per_second: f64,
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn the_window_follows_the_issue() {
        assert_eq!([100, 1_000, 10_000, 0].map(window), [64, 20, 4, 64]);
    }
}
