//! What the bench measures and what must come out, as data.

use crate::spec::Pace;

/// One crowd and how fast it is published to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Connections that get every event.
    pub(crate) connections: usize,
    /// Other connections of the same tenant that listen to something else. The floors have none.
    pub(crate) bystanders: usize,
    pub(crate) pace: Pace,
}

/// The fan-out loads, in the order they are run.
pub(crate) const LOADS: &[Load] = &[
    Load {
        name: "full-100",
        about: "full speed to 100 connections",
        connections: 100,
        bystanders: 0,
        pace: Pace::Full,
    },
    Load {
        name: "full-1000",
        about: "full speed to 1,000 connections",
        connections: 1_000,
        bystanders: 0,
        pace: Pace::Full,
    },
    Load {
        name: "full-10000",
        about: "full speed to 10,000 connections",
        connections: 10_000,
        bystanders: 0,
        pace: Pace::Full,
    },
    Load {
        name: "paced",
        about: "100 events/s to 1,000 connections",
        connections: 1_000,
        bystanders: 0,
        pace: Pace::Fixed { events_per_second: 100 },
    },
    Load {
        name: "bystanders",
        about: "1,000 events/s to 50 connections beside 5,000 that listen to something else (floors: 50 alone)",
        connections: 50,
        bystanders: 5_000,
        pace: Pace::Fixed { events_per_second: 1_000 },
    },
];

/// What `--only` calls the measurement of idle connections.
pub(crate) const IDLE: &str = "idle";
/// The two counts between which idle connections are measured.
pub(crate) const IDLE_FEW: usize = 1_000;
/// See [`IDLE_FEW`].
pub(crate) const IDLE_MANY: usize = 6_000;

/// What a bar is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Median over rounds of the server's processor time per delivery divided by the single-write floor's.
    RatioToSingle,
    /// The same against the packed floor.
    RatioToPacked,
    /// Median of resident bytes per idle connection.
    BytesPerConnection,
    /// Median of microseconds of processor time per connect.
    MicrosPerConnect,
}

/// A figure that must not be exceeded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) load: &'static str,
    pub(crate) figure: Metric,
    pub(crate) at_most: f64,
    pub(crate) about: &'static str,
}

/// The bars, as the issue sets them.
pub(crate) const BARS: &[Bar] = &[
    Bar {
        load: "full-1000",
        figure: Metric::RatioToPacked,
        at_most: 2.5,
        about: "full speed, 1,000 connections: CPU per delivery, times the packed floor's",
    },
    Bar {
        load: "paced",
        figure: Metric::RatioToSingle,
        at_most: 1.3,
        about: "paced: CPU per delivery, times the single-write floor's",
    },
    Bar {
        load: "bystanders",
        figure: Metric::RatioToSingle,
        at_most: 1.6,
        about: "bystanders: CPU per delivery, times the single-write floor's",
    },
    Bar {
        load: IDLE,
        figure: Metric::BytesPerConnection,
        at_most: 8.0 * 1_024.0,
        about: "resident bytes per idle connection",
    },
    Bar {
        load: IDLE,
        figure: Metric::MicrosPerConnect,
        at_most: 150.0,
        about: "CPU per connect, token check included, microseconds",
    },
];

/// Names that `--only` understands.
pub(crate) fn names() -> Vec<&'static str> {
    LOADS.iter().map(|load| load.name).chain([IDLE]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_belongs_to_a_load() {
        let names = names();
        assert!(BARS.iter().all(|bar| names.contains(&bar.load)));
    }
}
