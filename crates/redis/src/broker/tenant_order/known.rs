//! Events that were given without their positions, recognised when they come with them.

use std::collections::{HashSet, VecDeque};

use hookswitch_protocol::NodeId;

/// How many are remembered.
const MOST: usize = 4_096;

/// Which event of which node; `None` is this one.
pub(crate) type EventNumber = (Option<NodeId>, u64);

/// The latest of them.
#[derive(Debug, Default)]
pub(super) struct KnownEvents {
    numbers: HashSet<EventNumber>,
    in_order: VecDeque<EventNumber>,
}

impl KnownEvents {
    pub(super) fn note(&mut self, number: EventNumber) {
        if self.in_order.len() >= MOST
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
        if self.numbers.insert(number.clone()) {
            self.in_order.push_back(number);
        }
    }

    pub(super) fn contain(&self, number: &EventNumber) -> bool {
        !self.numbers.is_empty() && self.numbers.contains(number)
    }
}
