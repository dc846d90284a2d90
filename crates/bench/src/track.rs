//! What has arrived: per connection in order and once, per event by everybody.
//!
//! Each publisher counts its own events: only among these is there an order to keep. The numbers of publisher 1 of 4 are
//! 1, 5, 9 and so on, so that a number says which publisher it belongs to.

use std::collections::VecDeque;

/// How one event came to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    InOrder,
    Late,
    Again,
}

/// One connection's sequence numbers of one publisher, counted from 0.
#[derive(Debug, Default)]
struct Sequence {
    next: u32,
    missing: Vec<u32>,
}

impl Sequence {
    fn note(&mut self, number: u32) -> Arrival {
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
    fn lost(&self, published: u32) -> u64 {
        self.missing.len() as u64 + u64::from(published.saturating_sub(self.next))
    }
}

/// One connection's sequence numbers of all publishers.
#[derive(Debug)]
pub(crate) struct Sequences(Vec<Sequence>);

impl Sequences {
    /// None seen yet.
    pub(crate) fn new(publishers: u32) -> Self {
        Self((0..publishers).map(|_| Sequence::default()).collect())
    }

    /// Notes an arrival.
    pub(crate) fn note(&mut self, number: u32) -> Arrival {
        let publishers = self.0.len() as u32;
        self.0[(number % publishers) as usize].note(number / publishers)
    }

    /// How many of the published events have not come.
    pub(crate) fn lost(&self, published: &Outstanding) -> u64 {
        self.0.iter().zip(&published.0).map(|(seen, publisher)| seen.lost(publisher.published())).sum()
    }
}

/// The events of one publisher that somebody still waits for.
#[derive(Debug)]
struct Unreceived {
    subscribers: u32,
    oldest: u32,
    waiting: VecDeque<u32>,
}

impl Unreceived {
    /// For a fixed number of subscribers.
    fn new(subscribers: u32) -> Self {
        Self { subscribers, oldest: 0, waiting: VecDeque::new() }
    }

    /// Takes the next sequence number.
    fn publish(&mut self) -> u32 {
        self.waiting.push_back(self.subscribers);
        self.published() - 1
    }

    /// One subscriber has got this event for the first time.
    fn arrived(&mut self, number: u32) {
        if let Some(waiting) = number.checked_sub(self.oldest).and_then(|at| self.waiting.get_mut(at as usize)) {
            *waiting = waiting.saturating_sub(1);
        }
        while self.waiting.front() == Some(&0) {
            self.waiting.pop_front();
            self.oldest += 1;
        }
    }

    /// Number of events published so far.
    fn published(&self) -> u32 {
        self.oldest + self.waiting.len() as u32
    }

    /// Events that not every subscriber has received; those behind an incomplete one count as well.
    fn count(&self) -> usize {
        self.waiting.len()
    }
}

/// The events of all publishers that somebody still waits for.
#[derive(Debug)]
pub(crate) struct Outstanding(Vec<Unreceived>);

impl Outstanding {
    /// For a fixed number of publishers, and of subscribers that are to get everything.
    pub(crate) fn new(publishers: u32, subscribers: u32) -> Self {
        Self((0..publishers).map(|_| Unreceived::new(subscribers)).collect())
    }

    /// How many publishers there are.
    pub(crate) fn publishers(&self) -> u32 {
        self.0.len() as u32
    }

    /// Takes the next sequence number of a publisher.
    pub(crate) fn publish(&mut self, publisher: usize) -> u32 {
        let publishers = self.publishers();
        self.0[publisher].publish() * publishers + publisher as u32
    }

    /// One subscriber has got this event for the first time.
    pub(crate) fn arrived(&mut self, number: u32) {
        let publishers = self.publishers();
        self.0[(number % publishers) as usize].arrived(number / publishers);
    }

    /// Number of events published so far.
    pub(crate) fn published(&self) -> u32 {
        self.0.iter().map(Unreceived::published).sum()
    }

    /// Events that not every subscriber has received; those behind an incomplete one count as well.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(Unreceived::count).sum()
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
        let mut outstanding = Unreceived::new(2);
        assert_eq!((outstanding.publish(), outstanding.publish()), (0, 1));
        outstanding.arrived(0);
        outstanding.arrived(1);
        outstanding.arrived(1);
        assert_eq!(outstanding.count(), 2);
        outstanding.arrived(0);
        assert_eq!((outstanding.count(), outstanding.published()), (0, 2));
        assert_eq!(outstanding.publish(), 2);
    }

    #[test]
    fn publishers_are_in_order_each_for_itself() {
        let (mut outstanding, mut sequences) = (Outstanding::new(2, 1), Sequences::new(2));
        assert_eq!([0, 0, 1, 1].map(|publisher| outstanding.publish(publisher)), [0, 2, 1, 3]);
        assert_eq!([1, 3, 2, 0].map(|number| sequences.note(number)), [InOrder, InOrder, InOrder, Late]);
        for number in [1, 3, 2] {
            outstanding.arrived(number);
        }
        assert_eq!((outstanding.count(), outstanding.published(), sequences.lost(&outstanding)), (2, 4, 0));
        assert_eq!(outstanding.publish(1), 5);
        assert_eq!(sequences.lost(&outstanding), 1);
    }
}
