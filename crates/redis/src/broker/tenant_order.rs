//! The events of one tenant in the order of its stream, from wherever they come: the channels, the answers to this
//! node's own appends, the stream itself.
//!
//! What is missing is waited for; what was given, or is older than the node's interest, is left out.

mod known;
mod steps;

use std::collections::{BTreeMap, VecDeque};

use hookswitch_hub::{Origin, Publication, Received};
use hookswitch_protocol::Position;

pub(crate) use self::known::EventNumber;
use self::known::KnownEvents;
pub(crate) use self::steps::{Step, Steps, give};
use crate::history::{Appended, Head, MissingEvents};

/// Most bytes of one tenant's events that wait for earlier ones, and most of these; then the earlier ones count as lost.
const WAITING_BYTES: usize = 8 * 1024 * 1024;
const WAITING_EVENTS: usize = 16 * 1024;

/// One tenant's state.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of its own, and all of them combine")]
pub(crate) struct TenantOrder {
    /// Whether events are given; otherwise only those of this node are counted.
    pub(crate) is_watched: bool,
    /// Everything up to here was given, or is none of this node's business. Unknown until the head was read.
    at: Option<Position>,
    /// The greatest position that the history gave.
    seen: Option<Position>,
    waiting: BTreeMap<Position, Received>,
    n_waiting_bytes: usize,
    /// What the history does not hold of the present epoch, rising.
    missing: VecDeque<MissingEvents>,
    /// This node's, from when they are on their way to Redis until it has answered.
    own: Vec<OwnEvent>,
    /// Given without their positions.
    known: KnownEvents,
    /// Whether Redis does not take this node's events just now: they are given at once.
    pub(crate) is_degraded: bool,
    /// Whether everybody was told that the epoch has ended, before the next one is known.
    is_told: bool,
    /// Whether what is missing is being fetched.
    pub(crate) is_fetching: bool,
}

/// One of this node's events on its way.
#[derive(Debug)]
struct OwnEvent {
    seq: u64,
    publication: Publication,
    /// It was given without its position.
    was_live: bool,
    is_given: bool,
}

/// What a receiver is to do with the echo of one of this node's events.
#[derive(Debug)]
pub(crate) enum Echo {
    /// It was given.
    Known,
    /// This is it.
    Event(Box<Received>),
    /// Nothing is known of it: it has to be read.
    Unknown,
}

impl TenantOrder {
    /// The greatest position that the history is known to have given.
    pub(crate) fn seen(&self) -> Option<Position> {
        self.seen.max(self.at)
    }

    /// Behind which position something is missing, and up to where.
    pub(crate) fn hole(&self) -> Option<(Position, Position)> {
        let at = self.at?;
        let last = self.waiting.last_key_value().map(|(position, _)| *position);
        let until = self.seen.max(last)?;
        (self.is_watched && until > at).then_some((at, until))
    }

    /// Whether nothing is to be read of what stands at this position.
    pub(crate) fn is_given(&self, position: Position) -> bool {
        self.at.is_some_and(|at| position <= at)
    }

    /// Nothing is given any more; what the history gave is remembered for this node's appends.
    pub(crate) fn stop(&mut self) {
        self.is_watched = false;
        self.seen = self.seen();
        self.at = None;
        self.is_told = false;
        self.forget_waiting();
    }

    fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.missing.clear();
        self.n_waiting_bytes = 0;
    }

    /// These go to Redis; none of them is given yet but those that were without a position.
    pub(crate) fn send(&mut self, events: impl Iterator<Item = (u64, Publication, bool)>) {
        let own = events.map(|(seq, publication, was_live)| OwnEvent { seq, publication, was_live, is_given: false });
        self.own = own.collect();
        for own in self.own.iter().filter(|own| own.was_live) {
            self.known.note((None, own.seq));
        }
    }

    /// Those on their way that nobody was given yet: now everybody is, without their positions.
    pub(crate) fn degrade(&mut self) -> Vec<Received> {
        self.is_degraded = true;
        let left = self.own.iter_mut().filter(|own| !own.was_live && !own.is_given);
        let live = left.map(|own| {
            own.was_live = true;
            // Redis may have it already, and give it back over any way when this node no longer knows of it.
            self.known.note((None, own.seq));
            own_event(&own.publication, None, false)
        });
        live.collect()
    }

    /// Redis has not taken those that were on their way.
    pub(crate) fn put_back(&mut self) {
        self.own.clear();
    }

    /// Redis has appended those that were on their way.
    pub(crate) fn appended(&mut self, appended: &Appended) -> Steps {
        let Appended { epoch, offsets, .. } = appended;
        self.seen = self.seen.max(Some(Position { epoch: *epoch, offset: *offsets.end() }));
        let mut steps = Steps::new();
        if self.at.is_some_and(|at| *epoch > at.epoch) {
            self.begin_epoch(*epoch, &mut steps);
        }
        for (own, offset) in std::mem::take(&mut self.own).into_iter().zip(offsets.clone()) {
            let position = Position { epoch: *epoch, offset };
            if own.is_given {
                continue;
            }
            let is_late = !self.is_watched || self.is_given(position);
            if is_late && !own.was_live {
                if let Some(ticket) = &own.publication.ticket {
                    ticket.miss();
                }
            } else if !is_late {
                self.insert(position, own_event(&own.publication, Some(position), own.was_live));
            }
        }
        self.run(&mut steps);
        steps
    }

    /// The event with this number came back over its channel.
    pub(crate) fn echo(&mut self, seq: u64, position: Position) -> Echo {
        if self.is_given(position) {
            return Echo::Known;
        }
        match self.own.iter_mut().find(|own| own.seq == seq) {
            Some(own) if own.is_given => Echo::Known,
            Some(own) => {
                own.is_given = true;
                Echo::Event(Box::new(own_event(&own.publication, Some(position), own.was_live)))
            }
            None => Echo::Unknown,
        }
    }

    /// An event without a position, of a node that has a stream: whether it is new.
    pub(crate) fn note_known(&mut self, number: EventNumber) {
        self.known.note(number);
    }

    /// Whether that event was given without its position.
    pub(crate) fn is_known(&self, number: &EventNumber) -> bool {
        self.known.contain(number)
    }

    /// An event off the channels.
    pub(crate) fn take(&mut self, position: Position, received: Received, steps: &mut Steps) {
        let Some(at) = self.at else {
            self.insert(position, received);
            if self.is_full() {
                self.go_without_head(steps);
            }
            return;
        };
        if position <= at {
            return;
        }
        if next(at) == position && self.waiting.is_empty() {
            self.at = Some(position);
            return give(received, steps);
        }
        self.insert(position, received);
        self.run(steps);
        if self.is_full() {
            self.give_up(steps);
        }
    }

    fn is_full(&self) -> bool {
        self.n_waiting_bytes > WAITING_BYTES || self.waiting.len() > WAITING_EVENTS
    }

    /// The head cannot be read: what has come is given, from its first on.
    pub(crate) fn go_without_head(&mut self, steps: &mut Steps) {
        if let Some((first, _)) = self.waiting.first_key_value().filter(|_| self.at.is_none()) {
            self.at = Some(before(*first));
            self.run(steps);
        }
    }

    fn insert(&mut self, position: Position, received: Received) {
        self.n_waiting_bytes += weight(&received);
        if let Some(before) = self.waiting.insert(position, received) {
            self.n_waiting_bytes -= weight(&before);
        }
    }

    fn remove(&mut self, position: Position) -> Option<Received> {
        let received = self.waiting.remove(&position)?;
        self.n_waiting_bytes -= weight(&received);
        Some(received)
    }

    /// Gives what is there without a hole.
    pub(crate) fn run(&mut self, steps: &mut Steps) {
        while let Some(at) = self.at {
            if let Some(received) = self.remove(next(at)) {
                self.at = Some(next(at));
                give(received, steps);
                continue;
            }
            if let Some((first, _)) = self.waiting.first_key_value()
                && *first <= at
            {
                let first = *first;
                self.remove(first);
                continue;
            }
            if self.missing.front().is_none_or(|missing| missing.first > at.offset + 1) {
                return;
            }
            let Some(missing) = self.missing.pop_front() else { return };
            if missing.last > at.offset {
                self.at = Some(Position { offset: missing.last, ..at });
                if !missing.is_opt_in {
                    steps.push(Step::Missed(missing.last - at.offset));
                }
            }
        }
    }

    /// Another epoch: what waits of those before is given, and everybody is told.
    fn begin_epoch(&mut self, epoch: u64, steps: &mut Steps) {
        if self.at.is_none() {
            return;
        }
        let later = self.waiting.split_off(&Position { epoch, offset: 0 });
        let before = std::mem::replace(&mut self.waiting, later);
        for received in before.into_values() {
            self.n_waiting_bytes -= weight(&received);
            give(received, steps);
        }
        self.missing.clear();
        self.at = Some(Position { epoch, offset: 0 });
        if !std::mem::take(&mut self.is_told) {
            steps.push(Step::NewEpoch);
        }
    }

    /// The head of the history was read; whether it is from there on that events are given.
    pub(crate) fn heard_head(&mut self, head: Head, steps: &mut Steps) -> bool {
        let Head { position, is_current } = head;
        if !self.is_watched {
            return false;
        }
        let Some(at) = self.at else {
            self.at = Some(position);
            self.seen = self.seen.max(self.at);
            self.run(steps);
            return true;
        };
        if position > at {
            self.seen = self.seen.max(Some(position));
        }
        // Positions that were given here, or behind what was read, are lost or will be given again.
        let is_broken = position < at || !is_current;
        if is_broken && !std::mem::replace(&mut self.is_told, true) {
            steps.push(Step::NewEpoch);
        }
        false
    }

    /// Somebody says that the history goes up to here.
    pub(crate) fn heard_of(&mut self, head: Position) {
        if self.at.is_some() {
            self.seen = self.seen.max(Some(head));
        }
    }

    /// What was read from the history behind the last event given.
    pub(crate) fn fill(
        &mut self,
        events: Vec<(Position, Option<EventNumber>, Received)>,
        missing: Vec<MissingEvents>,
        head: Position,
        steps: &mut Steps,
    ) {
        for (position, number, mut received) in events {
            if self.is_given(position) || self.waiting.contains_key(&position) {
                continue;
            }
            match &number {
                // One that is still on its way is given as what it is.
                Some((None, seq)) => match self.echo(*seq, position) {
                    Echo::Known => continue,
                    Echo::Event(own) => received = *own,
                    Echo::Unknown => received.is_known = self.is_known(&(None, *seq)),
                },
                Some(number) => received.is_known = self.is_known(number),
                None => {}
            }
            self.insert(position, received);
        }
        if self.at.is_some_and(|at| at.epoch == head.epoch) {
            self.missing = missing.into();
        }
        self.run(steps);
    }

    /// The history goes on in this epoch.
    pub(crate) fn goes_on_in(&mut self, epoch: u64, steps: &mut Steps) {
        if self.at.is_some_and(|at| epoch > at.epoch) {
            self.begin_epoch(epoch, steps);
            self.run(steps);
        }
    }

    /// These positions were never given by the history, though somebody has said them before it was read: events are
    /// given as if they had none.
    pub(crate) fn disown(&mut self, up_to: Position, head: Position, steps: &mut Steps) {
        let said: Vec<Position> = self.waiting.keys().copied().filter(|at| *at > head && *at <= up_to).collect();
        for position in said {
            if let Some(received) = self.remove(position) {
                give(Received { position: None, ..received }, steps);
            }
        }
        if self.seen.is_some_and(|seen| seen > head && seen <= up_to) {
            self.seen = Some(head);
        }
    }

    /// Goes on with what is there.
    pub(crate) fn give_up(&mut self, steps: &mut Steps) {
        let Some(at) = self.at else { return };
        let first = self.waiting.first_key_value().map(|(first, _)| *first);
        let Some(to) = first.map(before).or(self.seen).filter(|to| *to > at) else { return };
        if to.epoch > at.epoch {
            self.begin_epoch(to.epoch, steps);
        }
        let n_missed = to.offset - self.at.map_or(0, |at| at.offset);
        self.at = Some(to);
        if n_missed > 0 {
            steps.push(Step::Missed(n_missed));
        }
        self.run(steps);
    }
}

fn own_event(publication: &Publication, position: Option<Position>, is_known: bool) -> Received {
    let Publication { event, ticket, .. } = publication;
    Received { event: event.clone(), origin: Origin::Own(ticket.clone()), position, is_known }
}

fn next(at: Position) -> Position {
    Position { offset: at.offset + 1, ..at }
}

fn before(at: Position) -> Position {
    Position { offset: at.offset.saturating_sub(1), ..at }
}

fn weight(received: &Received) -> usize {
    received.event.payload.as_str().len() + 512
}

#[cfg(test)]
mod tests;
