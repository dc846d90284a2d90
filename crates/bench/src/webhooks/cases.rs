//! What is measured, as data.

use clap::builder::PossibleValue;

use super::database::Engine;
use super::spec::Shape;
use crate::spec::{Pace, Publishing};

/// What a case is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As many deliveries as can be made, beside the floor.
    Full,
    /// Delays at a pace that nothing has to wait for.
    Paced,
    /// What a backlog of one webhook costs the others.
    Backlog,
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) engine: Engine,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    pub(super) publishing: Publishing,
}

/// 50 webhooks, because one webhook has at most 10 deliveries in flight: that would measure the round trip.
const APART: Shape = Shape { topics: 50, per_topic: 1 };
const TOGETHER: Shape = Shape { topics: 5, per_topic: 10 };
const ALONE: Shape = Shape { topics: 1, per_topic: 1 };
/// Deliveries on the way at full speed.
const WINDOW: usize = 4_000;
const BATCHES: Publishing = Publishing { publishers: 8, batch: 50, window: WINDOW, pace: Pace::Full };
const SINGLY: Publishing =
    Publishing { publishers: 4, batch: 1, window: WINDOW, pace: Pace::Fixed { events_per_second: 200 } };

/// Deliveries a second that the issue aims at, on SQLite.
pub(super) const AIM: f64 = 10_000.0;
/// The share of their rate that the others must keep beside a backlog.
pub(super) const BACKLOG_BAR: f64 = 0.9;
/// Deliveries in flight at once, of the floor as of the server: 10 per webhook, and the server has room for 512.
pub(super) const IN_FLIGHT: u32 = 500;

/// The cases, in the order they are run.
pub(super) const CASES: &[Case] = &[
    case("sqlite-1", Engine::Sqlite, Kind::Full, APART),
    case("sqlite-10", Engine::Sqlite, Kind::Full, TOGETHER),
    case("mariadb-1", Engine::MariaDb, Kind::Full, APART),
    case("mariadb-10", Engine::MariaDb, Kind::Full, TOGETHER),
    case("sqlite-paced", Engine::Sqlite, Kind::Paced, ALONE),
    case("mariadb-paced", Engine::MariaDb, Kind::Paced, ALONE),
    case("sqlite-backlog", Engine::Sqlite, Kind::Backlog, APART),
    case("mariadb-backlog", Engine::MariaDb, Kind::Backlog, APART),
];

const fn case(name: &'static str, engine: Engine, kind: Kind, shape: Shape) -> Case {
    let publishing = match kind {
        Kind::Paced => SINGLY,
        Kind::Full | Kind::Backlog => BATCHES,
    };
    Case { name, engine, kind, shape, publishing }
}

impl Case {
    /// Whether one of the words means this case; none means all.
    pub(super) fn is_meant(&self, words: &[String]) -> bool {
        let mut parts = self.name.split('-');
        words.is_empty() || words.iter().any(|word| word == self.name || parts.any(|part| part == word))
    }

    /// What it does, for people.
    pub(super) fn about(&self) -> String {
        let Shape { per_topic, .. } = self.shape;
        match (self.kind, self.publishing.pace) {
            (_, Pace::Fixed { events_per_second }) => {
                format!("{events_per_second} events/s, one per request, {per_topic} webhook per event")
            }
            (Kind::Full | Kind::Paced, Pace::Full) => {
                format!("full speed to {} webhooks, {per_topic} per event", self.shape.webhooks())
            }
            (Kind::Backlog, Pace::Full) => {
                format!("full speed to {} webhooks beside one with a backlog", self.shape.webhooks())
            }
        }
    }
}

/// Words that `--only` understands.
pub(super) fn words() -> Vec<PossibleValue> {
    let groups = ["sqlite", "mariadb", "paced", "backlog"];
    CASES.iter().map(|case| case.name).chain(groups).map(PossibleValue::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        CASES.iter().filter(|case| case.is_meant(&words)).map(|case| case.name).collect()
    }

    #[test]
    fn a_word_means_a_case_or_a_group() {
        assert_eq!(meant(&["sqlite-1"]), ["sqlite-1"]);
        assert_eq!(meant(&["paced", "mariadb-10"]), ["mariadb-10", "sqlite-paced", "mariadb-paced"]);
        assert_eq!(meant(&["sqlite"]).len(), 4);
        assert_eq!(meant(&[]).len(), CASES.len());
    }

    #[test]
    fn batches_hold_every_topic_equally_often() {
        // An event's number says its topic only then.
        assert!(CASES.iter().all(|case| (case.publishing.batch as u32).is_multiple_of(case.shape.topics)));
        assert!(CASES.iter().all(|case| case.publishing.batch * case.shape.per_topic as usize <= WINDOW));
    }
}
