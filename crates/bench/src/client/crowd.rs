//! Who takes part in a run.

use std::net::SocketAddr;

use super::latencies::Place;
use super::subscriber::ConnectionPlan;
use crate::spec::{Publishing, Transport};

/// Who takes part. The first `listening` subscribers get the events; those after them are bystanders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    pub(super) transport: Transport,
    pub(super) publishing: Publishing,
    pub(super) listening: usize,
    /// The first so many subscribers are at another node, which is there.
    pub(super) there: Option<(usize, SocketAddr)>,
}

impl Crowd {
    /// Where connection `number` goes, when the events are published at `here`.
    pub(super) fn plan(&self, number: usize, here: SocketAddr) -> ConnectionPlan {
        let bystander = number >= self.listening;
        match self.there {
            Some((count, address)) if number < count => {
                ConnectionPlan { transport: self.transport, address, number, place: Place::There, bystander }
            }
            _ => ConnectionPlan { transport: self.transport, address: here, number, place: Place::Here, bystander },
        }
    }

    /// Whether one connection is here and one there.
    pub(super) fn is_pair(&self) -> bool {
        self.listening == 2 && self.there.is_some_and(|(count, _)| count == 1)
    }
}
