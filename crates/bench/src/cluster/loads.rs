//! What goes from node to node, as data.

use crate::spec::{Pace, Publishing};

/// One way of publishing at node A, and who listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Connections at node A, where events are published.
    pub(crate) here: usize,
    /// Connections at node B.
    pub(crate) there: usize,
    pub(crate) publishing: Publishing,
}

impl Load {
    /// Whether it is published as fast as answers and deliveries come back.
    pub(crate) fn is_full_speed(&self) -> bool {
        self.publishing.pace == Pace::Full
    }
}

/// The loads, in the order they are run. The windows are narrow enough for what may wait for one slow connection (256
/// events, or what its socket holds), so that nothing has to be dropped.
pub(crate) const LOADS: &[Load] = &[
    Load {
        name: "single",
        about: "full speed, 16 publishers, 1 event per request",
        here: 1,
        there: 5,
        publishing: Publishing { publishers: 16, batch: 1, window: 200, pace: Pace::Full },
    },
    Load {
        name: "batch",
        about: "full speed, 4 publishers, 100 events per request",
        here: 1,
        there: 5,
        publishing: Publishing { publishers: 4, batch: 100, window: 400, pace: Pace::Full },
    },
    Load {
        name: "latency",
        about: "200 events/s, 1 event per request",
        here: 1,
        there: 1,
        publishing: Publishing { publishers: 1, batch: 1, window: 200, pace: Pace::Fixed { events_per_second: 200 } },
    },
];

/// Names that `--only` understands.
pub(crate) fn names() -> Vec<&'static str> {
    LOADS.iter().map(|load| load.name).collect()
}
