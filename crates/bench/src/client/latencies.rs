//! How long events took, by where they arrived.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::spec::{Quantiles, latencies};

/// At which node a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the one that events are published at.
    Here,
    /// At another one.
    There,
}

/// Latencies of everything that has arrived.
#[derive(Debug)]
pub(crate) struct Latencies {
    here: Histogram<u64>,
    there: Histogram<u64>,
    /// What the way from here to there added to single events.
    added: Histogram<u64>,
    /// Events that have arrived at one place so far; `None` where there is not one connection at each.
    halves: Option<HashMap<u32, (Place, u64)>>,
}

impl Latencies {
    /// None yet. Those of one event are `paired` only where exactly one connection is at each place.
    pub(crate) fn new(paired: bool) -> Self {
        let halves = paired.then(HashMap::new);
        Self { here: latencies(), there: latencies(), added: latencies(), halves }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.halves.is_some());
    }

    /// Counts one event's nanoseconds at one connection.
    pub(crate) fn record(&mut self, place: Place, number: u32, nanos: u64) {
        match place {
            Place::Here => self.here.saturating_record(nanos),
            Place::There => self.there.saturating_record(nanos),
        }
        let Some(halves) = &mut self.halves else { return };
        match (halves.remove(&number), place) {
            (None, _) => drop(halves.insert(number, (place, nanos))),
            // One that is there first counts as nothing added.
            (Some((Place::Here, here)), Place::There) => self.added.saturating_record(nanos.saturating_sub(here)),
            (Some((Place::There, there)), Place::Here) => self.added.saturating_record(there.saturating_sub(nanos)),
            (Some(_), _) => {}
        }
    }

    /// At the node they were published at.
    pub(crate) fn here(&self) -> Quantiles {
        (&self.here).into()
    }

    /// At the other node.
    pub(crate) fn there(&self) -> Quantiles {
        (&self.there).into()
    }

    /// The difference of the two, event by event.
    pub(crate) fn added(&self) -> Quantiles {
        (&self.added).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_taken_event_by_event() {
        let mut latencies = Latencies::new(true);
        for (place, number, ms) in
            [(Place::Here, 1, 2), (Place::There, 2, 8), (Place::There, 1, 3), (Place::Here, 2, 7)]
        {
            latencies.record(place, number, ms * 1_000_000);
        }
        let added = latencies.added();
        assert!((1.0..1.1).contains(&added.p50_ms) && (1.0..1.1).contains(&added.p99_ms), "{added:?}");
        assert!((7.0..7.5).contains(&latencies.here().p99_ms));
        assert!((8.0..8.5).contains(&latencies.there().p99_ms));
        latencies.clear();
        assert_eq!(latencies.there(), Quantiles::default());
    }
}
