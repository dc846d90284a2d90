//! What the orchestrator tells the load client, and what the load client tells back: one JSON object each way.

use std::net::SocketAddr;

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

/// One run of the load client against one subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) address: SocketAddr,
    /// The subject's process, whose figures are read from `/proc`.
    pub(crate) pid: u32,
    /// What tokens are signed with.
    pub(crate) secret: String,
    pub(crate) task: Task,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Deliveries to `connections`, while `bystanders` of the same tenant listen to something else.
    Fanout { connections: usize, bystanders: usize, pace: Pace, warm_up_ms: u64, measured_ms: u64 },
    /// Memory and connect cost between two counts of idle connections.
    Idle { few: usize, many: usize },
}

/// What came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Fanout(Fanout),
    Idle(Idle),
}

/// Figures of the measured part of a fan-out; the counts of wrongs cover the warm-up as well.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fanout {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
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

    /// Everything that must not happen, together.
    pub(crate) fn wrongs(&self) -> u64 {
        self.lost + self.doubled + self.out_of_order + self.strayed
    }
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
