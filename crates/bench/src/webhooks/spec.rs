//! What the orchestrator tells the programs of `bench webhooks`, and what they tell back: one JSON object each way.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::spec::{Phases, Publishing, Quantiles};

/// What the webhook whose receiver never answers listens to, and where that is.
pub(super) const SILENT_TYPE: &str = "bench.silent";
pub(super) const SILENT_PATH: &str = "/silent";
/// Where the other webhooks are, followed by their number.
pub(super) const WEBHOOK_PATH: &str = "/w/";

/// Who listens to what: each topic is an event type with webhooks of its own. Event number `n` belongs to topic
/// `n % topics`, webhook number `w` to topic `w % topics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) topics: u32,
    /// Webhooks per topic: so many deliveries has one event.
    pub(crate) per_topic: u32,
}

impl Shape {
    /// How many webhooks there are.
    pub(crate) fn webhooks(self) -> u32 {
        self.topics * self.per_topic
    }

    /// What a webhook listens to.
    pub(crate) fn event_type(self, number: u32) -> String {
        format!("bench.{:02}", number % self.topics)
    }

    /// The event types of one request; as many as are in a row of event numbers.
    pub(crate) fn types(self, batch: usize) -> Vec<String> {
        (0..batch as u32).map(|number| self.event_type(number)).collect()
    }

    /// How many of the first `published` events a webhook is to hear of.
    pub(crate) fn expected(self, webhook: u32, published: u32) -> u32 {
        (published + self.topics - 1 - webhook % self.topics) / self.topics
    }
}

/// One run of the load client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) server: SocketAddr,
    pub(crate) receiver: SocketAddr,
    /// Server, receiver and, if there is one, database: processes whose processor time is read.
    pub(crate) pids: Vec<u32>,
    /// What tokens are signed with.
    pub(crate) secret: String,
    pub(crate) task: Task,
}

/// What the load client does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Publishes for a time, and waits until everything has arrived. `first` events were published before.
    Deliver { shape: Shape, publishing: Publishing, phases: Phases, first: u32 },
    /// Publishes so many events to the webhook whose receiver never answers.
    Fill { events: u32 },
}

/// What came out of [`Task::Deliver`]: of its measured part, but for the wrongs, which are those of all runs with the
/// same receiver.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
    /// Of the processes, in the order in which they were named.
    pub(crate) cpu_seconds: Vec<f64>,
    /// From sending a request to its answer.
    pub(crate) answer: Quantiles,
    /// From sending an event to its first arrival at a webhook.
    pub(crate) delay: Quantiles,
    #[serde(flatten)]
    pub(crate) wrongs: Wrongs,
    /// All events so far, as `first` of the next run.
    pub(crate) published: u32,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrongs {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// At a webhook that did not ask for it, or without a number.
    pub(crate) strayed: u64,
}

impl Wrongs {
    pub(crate) fn sum(self) -> u64 {
        self.lost + self.doubled + self.strayed
    }
}

/// What came out of [`Task::Fill`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Filled {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: Vec<f64>,
}

/// One run of the floor: so many connections send one delivery after the other, and nothing is kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct FloorOrders {
    pub(crate) receiver: SocketAddr,
    pub(crate) receiver_pid: u32,
    pub(crate) shape: Shape,
    pub(crate) connections: u32,
    pub(crate) phases: Phases,
}

/// What has come to a receiver.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Arrived {
    /// By webhook, each event once.
    pub(crate) received: Vec<u32>,
    pub(crate) doubled: u64,
    pub(crate) strayed: u64,
    /// First arrivals since the last mark.
    pub(crate) delay: Quantiles,
}

impl Arrived {
    /// The wrongs, when this is all that will ever come of `published` events.
    pub(crate) fn wrongs(&self, shape: Shape, published: u32) -> Wrongs {
        let missing = (0..).zip(&self.received).map(|(webhook, received)| {
            u64::from(shape.expected(webhook, published)).saturating_sub(u64::from(*received))
        });
        Wrongs { lost: missing.sum(), doubled: self.doubled, strayed: self.strayed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_expected_by_the_webhooks_of_its_topic() {
        let shape = Shape { topics: 3, per_topic: 2 };
        assert_eq!(shape.types(4), ["bench.00", "bench.01", "bench.02", "bench.00"]);
        assert_eq!((0..6).map(|webhook| shape.expected(webhook, 4)).collect::<Vec<_>>(), [2, 1, 1, 2, 1, 1]);
        let arrived = Arrived { received: vec![2, 1, 0, 2, 1, 1], doubled: 2, ..Arrived::default() };
        assert_eq!(arrived.wrongs(shape, 4), Wrongs { lost: 1, doubled: 2, strayed: 0 });
    }
}
