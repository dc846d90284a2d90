//! One thing with [`ring`](super), whose part this is: over a restart, and back.

use hookswitch_protocol::Position;
use tokio::time::Instant;

use super::{Recorded, Ring, Segment};
use crate::history::classes::Class;
use crate::history::place::Place;
use crate::publish::weight::weight;
use crate::seams::broker::EncodedEvent;

impl Ring {
    /// One that ends at this position and holds nothing yet of what was behind these offsets, `floor` being the least,
    /// the others the last one of either kind that is not kept any more.
    pub(crate) fn saved(head: Position, floor: u64, lost: u64, lost_opt_in: u64) -> Self {
        let at = |offset: u64| Place {
            seq: offset.saturating_sub(floor),
            position: Some(Position { epoch: head.epoch, offset }),
        };
        let mut ring = Self::starting_at(at(head.offset));
        (ring.common.lost, ring.opt_in.lost) = (at(lost), at(lost_opt_in));
        ring
    }

    /// Enters an event that was there before, at its offset, behind those that were entered; one that is too old to say
    /// how old counts as gone. `None` where there is no such offset.
    pub(crate) fn put_back(
        &mut self,
        offset: u64,
        event: EncodedEvent,
        class: Class,
        at: Option<Instant>,
    ) -> Option<()> {
        let head = self.head.position?;
        let seq = self.head.seq.checked_sub(head.offset.checked_sub(offset)?)?;
        let place = Place { seq, position: Some(Position { offset, ..head }) };
        match at {
            Some(at) => self.enter(Recorded { place, event, class, was_live: false, at }),
            None if event.event_type.is_opt_in() => self.opt_in.lost = place,
            None => self.common.lost = place,
        }
        Some(())
    }

    /// The offsets of the last event that is not kept any more, of those for everybody and of the others; `None` without
    /// positions.
    pub(crate) fn saved_head(&self) -> Option<(u64, u64)> {
        let offset = |segment: &Segment| Some(self.place(segment.lost.seq).position?.offset);
        Some((offset(&self.common)?, offset(&self.opt_in)?))
    }

    /// The newest events up to this number of so many bytes, in order, or one, and behind which number there is none
    /// that is not among them. `None` where nothing is kept up to there.
    pub(crate) fn newest_up_to(&self, up_to: u64, n_bytes: usize) -> Option<(u64, Vec<&Recorded>)> {
        let before = |segment: &'_ Segment| segment.events.partition_point(|recorded| recorded.place.seq <= up_to);
        let mut common = self.common.events.range(..before(&self.common)).rev().peekable();
        let mut opt_in = self.opt_in.events.range(..before(&self.opt_in)).rev().peekable();
        let (mut newest, mut n_taken) = (Vec::new(), 0);
        loop {
            let is_common = match (common.peek(), opt_in.peek()) {
                (Some(a), Some(b)) => a.place.seq > b.place.seq,
                (a, _) => a.is_some(),
            };
            let Some(next) = (if is_common { common.next() } else { opt_in.next() }) else { break };
            n_taken += weight(&next.event);
            if n_taken > n_bytes && !newest.is_empty() {
                newest.reverse();
                return Some((next.place.seq, newest));
            }
            newest.push(next);
        }
        newest.reverse();
        let floor = self.common.lost.seq.min(self.opt_in.lost.seq);
        (floor < up_to).then_some((floor, newest))
    }
}
