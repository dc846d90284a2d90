//! One tenant's recent events, in order.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hookswitch_protocol::{Position, SessionKey};
use tokio::time::Instant;

use crate::history::classes::Class;
use crate::history::former::FormerEvents;
use crate::history::limits::HistoryLimits;
use crate::history::place::{Place, Unrecovered};
use crate::publish::weight::weight;
use crate::seams::broker::EncodedEvent;

/// So many are not looked through for those that are not kept any more.
const LATEST_KEPT: usize = 64;

/// The last events of one tenant. Types that one must ask for are apart, or their many would push the others out.
#[derive(Debug)]
pub(crate) struct Ring {
    head: Place,
    common: Segment,
    opt_in: Segment,
    /// The numbers of the urgent ones.
    urgent: VecDeque<u64>,
    /// The number of the newest of those of which only that matters.
    latest: HashMap<u64, u64>,
    former: FormerEvents,
}

/// Events of one kind, rising.
#[derive(Debug, Default)]
struct Segment {
    events: VecDeque<Recorded>,
    n_bytes: usize,
    /// The last one that is not kept any more.
    lost: Place,
    /// The last one that went had to make room.
    is_full: bool,
}

/// An event at its place.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) place: Place,
    pub(crate) event: EncodedEvent,
    pub(crate) class: Class,
    /// It was given before it had its place: whoever was connected has it.
    pub(crate) was_live: bool,
    at: Instant,
}

impl Recorded {
    /// When it came to this node.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }
}

/// Some events behind a place.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) events: Vec<Recorded>,
    /// For each of them whether a newer one says what it says.
    pub(crate) superseded: Vec<bool>,
    /// The last event that there is.
    pub(crate) head: Place,
    /// The last one that is not kept any more, of those that everybody may get.
    pub(crate) lost: Place,
    /// The same of the types that one must ask for.
    pub(crate) lost_opt_in: Place,
}

impl Segment {
    fn push(&mut self, recorded: Recorded) {
        self.n_bytes += weight(&recorded.event);
        self.events.push_back(recorded);
    }

    fn pop(&mut self) -> Option<Recorded> {
        let oldest = self.events.pop_front()?;
        self.n_bytes -= weight(&oldest.event);
        self.lost = oldest.place;
        if self.events.is_empty() {
            // An idle tenant's costs nothing.
            self.events = VecDeque::new();
        }
        Some(oldest)
    }

    /// Lets go of what is before something that was missed.
    fn forget_lost(&mut self) {
        while let Some(first) = self.events.pop_front_if(|first| first.place.seq <= self.lost.seq) {
            self.n_bytes -= weight(&first.event);
        }
    }

    fn trim(
        &mut self,
        (n_events, n_bytes): (usize, usize),
        too_old: Option<Instant>,
        mut former: Option<&mut FormerEvents>,
    ) {
        let is_too_old = |oldest: &Recorded| too_old.is_some_and(|limit| oldest.at < limit);
        while self.events.front().is_some_and(is_too_old) {
            self.is_full = false;
            self.pop();
        }
        while self.events.len() > n_events || self.n_bytes > n_bytes {
            self.is_full = true;
            if let (Some(oldest), Some(former)) = (self.pop(), &mut former) {
                former.push(&oldest, n_events);
            }
        }
    }

    fn after(&self, seq: u64) -> impl Iterator<Item = &Recorded> {
        let from = self.events.partition_point(|recorded| recorded.place.seq <= seq);
        self.events.range(from..)
    }
}

impl Ring {
    /// An empty one, behind this place.
    pub(crate) fn starting_at(place: Place) -> Self {
        let segment = || Segment { lost: place, ..Segment::default() };
        let (common, opt_in) = (segment(), segment());
        Self {
            head: place,
            common,
            opt_in,
            urgent: VecDeque::new(),
            latest: HashMap::new(),
            former: FormerEvents::default(),
        }
    }

    pub(crate) fn head(&self) -> Place {
        self.head
    }

    /// The last event of any kind that is not kept any more.
    pub(crate) fn lost(&self) -> Place {
        self.place(self.common.lost.seq.max(self.opt_in.lost.seq))
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.common.n_bytes + self.opt_in.n_bytes + self.former.n_bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.common.events.len() + self.opt_in.events.len()
    }

    /// The next event stands behind this position. What is between the last one and there was missed, and counts like
    /// what is not kept any more; `false` where the position is behind none that is known.
    pub(crate) fn go_on_behind(&mut self, position: Position) -> bool {
        let head = self.head.position.unwrap_or(Position { epoch: 0, offset: 0 });
        if position < head {
            return false;
        }
        // Within an epoch numbers and offsets go together, also where events are missing.
        let is_same = position.epoch == head.epoch;
        let n_missed = if is_same { position.offset - head.offset } else { position.offset };
        self.head = Place { seq: self.head.seq + n_missed, position: Some(position) };
        if n_missed > 0 {
            (self.common.lost, self.opt_in.lost) = (self.head, self.head);
        }
        true
    }

    /// Before events are entered at the front: what is before something that was missed goes.
    pub(crate) fn prepare_front(&mut self) {
        self.common.forget_lost();
        self.opt_in.forget_lost();
        self.forget_classes();
    }

    /// Enters an event before the first one of its kind, at its position of the present epoch. One that is not before it
    /// is there, or is among what was missed since, and is left out.
    pub(crate) fn push_before(&mut self, position: Position, event: EncodedEvent, class: Class, at: Instant) {
        let Some(place) = self.head.at(position) else { return };
        let is_opt_in = event.event_type.is_opt_in();
        let segment = if is_opt_in { &mut self.opt_in } else { &mut self.common };
        let first = segment.events.front().map_or(u64::MAX, |first| first.place.seq);
        if place.seq > segment.lost.seq || place.seq >= first {
            return;
        }
        let class = if is_opt_in { Class::InOrder } else { class };
        match class {
            Class::InOrder => {}
            Class::Urgent => self.urgent.push_front(place.seq),
            Class::Latest(of) => _ = self.latest.entry(of).or_insert(place.seq),
        }
        segment.n_bytes += weight(&event);
        segment.events.push_front(Recorded { place, event, class, was_live: false, at });
    }

    /// Everything behind these positions is there, of what everybody may get and of everything.
    pub(crate) fn holds_after(&mut self, common: Position, all: Position) {
        for (segment, after) in [(&mut self.common, self.head.at(common)), (&mut self.opt_in, self.head.at(all))] {
            if let Some(after) = after.filter(|after| after.seq < segment.lost.seq) {
                segment.lost = after;
            }
        }
    }

    /// Enters an event behind the last one.
    pub(crate) fn push(&mut self, event: EncodedEvent, class: Class, at: Instant) {
        self.head = self.head.plus(1);
        self.enter(Recorded { place: self.head, event, class, was_live: false, at });
    }

    /// The same for one that was given before it had its place.
    pub(crate) fn push_live(&mut self, event: EncodedEvent, class: Class, at: Instant) {
        self.head = self.head.plus(1);
        self.enter(Recorded { place: self.head, event, class, was_live: true, at });
    }

    fn enter(&mut self, mut recorded: Recorded) {
        let (seq, is_opt_in) = (recorded.place.seq, recorded.event.event_type.is_opt_in());
        if is_opt_in {
            recorded.class = Class::InOrder;
        }
        match recorded.class {
            Class::InOrder => {}
            Class::Urgent => self.urgent.push_back(seq),
            Class::Latest(of) => _ = self.latest.insert(of, seq),
        }
        let segment = if is_opt_in { &mut self.opt_in } else { &mut self.common };
        segment.push(recorded);
    }

    /// Lets go of what is over a bound; gives how many bytes that was.
    pub(crate) fn trim(&mut self, limits: &HistoryLimits, now: Instant) -> usize {
        let n_before = self.n_bytes();
        let too_old = now.checked_sub(limits.age);
        self.common.trim((limits.events, limits.bytes), too_old, Some(&mut self.former));
        self.opt_in.trim(limits.opt_in(), too_old, None);
        self.former.forget_before(too_old);
        self.forget_classes();
        n_before - self.n_bytes()
    }

    /// What is not kept any more is in no class.
    fn forget_classes(&mut self) {
        let lost = self.common.lost.seq;
        while self.urgent.front().is_some_and(|seq| *seq <= lost) {
            self.urgent.pop_front();
        }
        // Looked through now and then only: afterwards there are no more than events.
        if self.latest.len() > LATEST_KEPT.max(self.common.events.len() * 2) {
            self.latest.retain(|_, seq| *seq > lost);
        }
    }

    /// Lets go of so many bytes at least, or of everything; gives how many that was.
    pub(crate) fn free(&mut self, n_bytes: usize) -> usize {
        let n_before = self.n_bytes();
        while n_before - self.n_bytes() < n_bytes
            && (self.former.pop() || self.common.pop().or_else(|| self.opt_in.pop()).is_some())
        {}
        self.forget_classes();
        n_before - self.n_bytes()
    }

    /// Up to `n_events` urgent events behind this number, in order.
    pub(crate) fn urgent(&self, after: u64, n_events: usize) -> Vec<Recorded> {
        let from = self.urgent.partition_point(|seq| *seq <= after);
        let found = self.urgent.range(from..).filter_map(|seq| self.recorded(*seq));
        found.take(n_events).cloned().collect()
    }

    fn recorded(&self, seq: u64) -> Option<&Recorded> {
        self.common.after(seq - 1).next().filter(|recorded| recorded.place.seq == seq)
    }

    /// Whether a newer event says what this one says.
    fn is_superseded(&self, recorded: &Recorded) -> bool {
        matches!(recorded.class, Class::Latest(of) if self.latest.get(&of).is_some_and(|seq| *seq > recorded.place.seq))
    }

    /// Up to `n_events` events behind this number, in order.
    pub(crate) fn page(&self, after: u64, n_events: usize) -> Page {
        let mut common = self.common.after(after).peekable();
        let mut opt_in = self.opt_in.after(after).peekable();
        let next = || {
            let is_common = match (common.peek(), opt_in.peek()) {
                (Some(a), Some(b)) => a.place.seq < b.place.seq,
                (a, _) => a.is_some(),
            };
            if is_common { common.next() } else { opt_in.next() }
        };
        // Printed before they are cloned: once for all who come back.
        let printed = std::iter::from_fn(next).take(n_events).inspect(|recorded| _ = recorded.event.envelope());
        let events: Vec<Recorded> = printed.cloned().collect();
        let superseded = events.iter().map(|recorded| self.is_superseded(recorded)).collect();
        Page { events, superseded, head: self.head, lost: self.common.lost, lost_opt_in: self.opt_in.lost }
    }

    /// Every event that is kept, the newest of each kind first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Recorded> {
        self.common.events.iter().rev().chain(self.opt_in.events.iter().rev())
    }

    pub(crate) fn former(&self) -> &FormerEvents {
        &self.former
    }

    /// Every event behind the first number, up to the second; those that one must ask for come last.
    pub(crate) fn between(&self, (after, up_to): (u64, u64)) -> impl Iterator<Item = &Recorded> {
        let common = self.common.after(after).take_while(move |recorded| recorded.place.seq <= up_to);
        common.chain(self.opt_in.after(after).take_while(move |recorded| recorded.place.seq <= up_to))
    }

    /// The place of the event at this position, when everything behind it is there.
    pub(crate) fn find(&self, position: Option<Position>, wants_opt_in: bool) -> Result<Place, Unrecovered> {
        let head = self.head.position.ok_or(Unrecovered::Degraded)?;
        let is_of_now = |at: &Position| head.epoch == at.epoch && at.offset <= head.offset;
        let position = position.filter(is_of_now).ok_or(Unrecovered::Epoch)?;
        let lost = self.common.lost.seq.max(if wants_opt_in { self.opt_in.lost.seq } else { 0 });
        // Every event has the next number and the next offset.
        let seq = self.head.seq.checked_sub(head.offset - position.offset).filter(|seq| *seq >= lost);
        Ok(Place { seq: seq.ok_or(Unrecovered::Expired)?, position: Some(position) })
    }

    /// How far back it goes, once it was full.
    pub(crate) fn reach(&self, now: Instant) -> Option<Duration> {
        let oldest = self.common.events.front().filter(|_| self.common.is_full)?;
        Some(now.duration_since(oldest.at))
    }

    /// The place before the last start of the chat session, as far as that is kept.
    pub(crate) fn before_session(&self, session: &SessionKey) -> Option<Place> {
        let is_start = |recorded: &&Recorded| {
            recorded.event.event_type.starts_session() && recorded.event.session.as_ref() == Some(session)
        };
        Some(self.common.events.iter().rev().find(is_start)?.place.before())
    }

    /// The place with this number; none is behind the head.
    pub(crate) fn place(&self, seq: u64) -> Place {
        let n_behind = self.head.seq.saturating_sub(seq);
        let before = |at: Position| Some(Position { offset: at.offset.checked_sub(n_behind)?, ..at });
        Place { seq: self.head.seq - n_behind, position: self.head.position.and_then(before) }
    }
}

mod saving;
#[cfg(test)]
mod tests;
