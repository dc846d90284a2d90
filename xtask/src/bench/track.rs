//! What has arrived: per connection in order and once, per event by everybody.

use std::collections::VecDeque;

/// How one event came to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    InOrder,
    Late,
    Again,
}

/// One connection's sequence numbers.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    next: u32,
    missing: Vec<u32>,
}

impl Sequence {
    /// Notes an arrival.
    pub(crate) fn note(&mut self, number: u32) -> Arrival {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
            return Arrival::InOrder;
        }
        match self.missing.iter().position(|missing| *missing == number) {
            Some(at) => {
                self.missing.swap_remove(at);
                Arrival::Late
            }
            None => Arrival::Again,
        }
    }

    /// How many of the first `published` events have not come.
    pub(crate) fn lost(&self, published: u32) -> u64 {
        self.missing.len() as u64 + u64::from(published.saturating_sub(self.next))
    }
}

/// The events that somebody still waits for.
#[derive(Debug)]
pub(crate) struct Outstanding {
    subscribers: u32,
    oldest: u32,
    waiting: VecDeque<u32>,
}

impl Outstanding {
    /// For a fixed number of subscribers.
    pub(crate) fn new(subscribers: u32) -> Self {
        Self { subscribers, oldest: 0, waiting: VecDeque::new() }
    }

    /// Takes the next sequence number.
    pub(crate) fn publish(&mut self) -> u32 {
        self.waiting.push_back(self.subscribers);
        self.published() - 1
    }

    /// One subscriber has got this event for the first time.
    pub(crate) fn arrived(&mut self, number: u32) {
        if let Some(waiting) = number.checked_sub(self.oldest).and_then(|at| self.waiting.get_mut(at as usize)) {
            *waiting = waiting.saturating_sub(1);
        }
        while self.waiting.front() == Some(&0) {
            self.waiting.pop_front();
            self.oldest += 1;
        }
    }

    /// Number of events published so far.
    pub(crate) fn published(&self) -> u32 {
        self.oldest + self.waiting.len() as u32
    }

    /// Events that not every subscriber has received; those behind an incomplete one count as well.
    pub(crate) fn count(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival::{Again, InOrder, Late};
    use super::*;

    #[test]
    fn losses_doubles_and_late_comers_are_told_apart() {
        let mut sequence = Sequence::default();
        let arrivals: Vec<Arrival> = [0, 1, 4, 3, 3, 4, 5].into_iter().map(|number| sequence.note(number)).collect();
        assert_eq!(arrivals, [InOrder, InOrder, InOrder, Late, Again, Again, InOrder]);
        assert_eq!((sequence.lost(6), sequence.lost(8)), (1, 3));
    }

    #[test]
    fn an_event_is_outstanding_until_everybody_has_it() {
        let mut outstanding = Outstanding::new(2);
        assert_eq!((outstanding.publish(), outstanding.publish()), (0, 1));
        outstanding.arrived(0);
        outstanding.arrived(1);
        outstanding.arrived(1);
        assert_eq!(outstanding.count(), 2);
        outstanding.arrived(0);
        assert_eq!((outstanding.count(), outstanding.published()), (0, 2));
        assert_eq!(outstanding.publish(), 2);
    }
}
