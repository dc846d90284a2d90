//! Where one HTTP connection is served: on the gateway's own runtime, or beside a shard of the hub.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hookswitch_hub::ShardId;
use hookswitch_protocol::{NewEvent, TenantId};
use hookswitch_switch::Switchboard;

/// A connection counts as a publisher's, and its place is looked at, from this request on.
const FIRST_LOOK: u32 = 8;
/// And then every so many publishing requests.
const LOOK_EVERY: u32 = 64;
/// Who was sent away from a crowded shard looks half as often each time, up to `LOOK_EVERY` times two
/// to this power.
const MOST_DOUBLINGS: u32 = 10;

/// The placement of one connection. Its requests say where it should be, its task takes it there. They are
/// the same task, so the lock is never waited for.
#[derive(Debug)]
pub(crate) struct ThreadPlacement {
    places: Mutex<PlacementState<ShardId>>,
    /// Whether it may move at all.
    is_movable: bool,
}

/// A move to another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move<P = ShardId> {
    /// `None` is the gateway's own runtime.
    pub(super) to: Option<P>,
}

impl ThreadPlacement {
    /// On the gateway's own runtime, where every connection begins.
    pub(super) fn new(is_movable: bool) -> Self {
        Self { places: Mutex::new(PlacementState::new()), is_movable }
    }

    /// One more publishing request came, with this event at its head.
    pub(crate) fn published(&self, switch: &Switchboard, tenant: &TenantId, first: &NewEvent) {
        if self.is_movable {
            self.places().published(|now| switch.assign_place(tenant, first, now));
        }
    }

    /// A request came that is not for a shard's thread, or that was refused: whoever makes such goes
    /// back, or stays away.
    pub(super) fn leave_shard(&self) {
        self.places().leave();
    }

    /// Whether the connection is served beside a shard.
    pub(super) fn is_beside_shard(&self) -> bool {
        self.places().now.is_some()
    }

    /// The move that is due, if one is; from here on it counts as done.
    pub(super) fn take_move(&self) -> Option<Move> {
        self.places().take_move()
    }

    fn places(&self) -> MutexGuard<'_, PlacementState<ShardId>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct PlacementState<P> {
    now: Option<P>,
    wanted: Option<P>,
    /// Publishing requests until the next look.
    n_left: u32,
    n_sent_away: u32,
}

impl<P: Copy + PartialEq> PlacementState<P> {
    fn new() -> Self {
        Self { now: None, wanted: None, n_left: FIRST_LOOK, n_sent_away: 0 }
    }

    fn published(&mut self, assign: impl FnOnce(Option<P>) -> Option<P>) {
        self.n_left -= 1;
        if self.n_left > 0 {
            return;
        }
        self.n_left = LOOK_EVERY;
        self.wanted = assign(self.now);
        if self.now.is_some() && self.wanted.is_none() {
            self.n_sent_away = (self.n_sent_away + 1).min(MOST_DOUBLINGS);
            self.n_left <<= self.n_sent_away;
        }
    }

    fn leave(&mut self) {
        self.wanted = None;
        self.n_left = self.n_left.max(LOOK_EVERY);
    }

    fn take_move(&mut self) -> Option<Move<P>> {
        (self.wanted != self.now).then(|| {
            self.now = self.wanted;
            Move { to: self.now }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Publishes until the next look, which assigns this place; gives how many requests it took.
    fn until_look(places: &mut PlacementState<u8>, assigned: Option<u8>) -> u32 {
        for n in 1.. {
            let mut has_looked = false;
            places.published(|_| {
                has_looked = true;
                assigned
            });
            if has_looked {
                return n;
            }
        }
        unreachable!("it looks at some time");
    }

    #[test]
    fn a_publisher_moves_with_its_eighth_request_and_looks_again_at_every_64th() {
        let mut places = PlacementState::new();
        assert_eq!(until_look(&mut places, Some(1)), 8);
        assert_eq!((places.take_move(), places.take_move()), (Some(Move { to: Some(1) }), None));
        assert_eq!(until_look(&mut places, Some(1)), 64);
        assert_eq!(places.take_move(), None);
        assert_eq!(until_look(&mut places, Some(2)), 64);
        assert_eq!((places.take_move(), places.now), (Some(Move { to: Some(2) }), Some(2)));
    }

    #[test]
    fn who_was_sent_away_comes_back_later_each_time() {
        let mut places = PlacementState::new();
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(until_look(&mut places, Some(1)));
            assert_eq!(places.take_move(), Some(Move { to: Some(1) }));
            assert_eq!(until_look(&mut places, None), 64);
            assert_eq!(places.take_move(), Some(Move { to: None }));
        }
        assert_eq!((waits[1], waits[2], waits[10], waits[11]), (128, 256, 65_536, 65_536));
    }

    #[test]
    fn another_request_calls_a_move_off_and_sends_back_who_has_moved() {
        let mut places = PlacementState::new();
        until_look(&mut places, Some(1));
        places.leave();
        assert_eq!(places.take_move(), None);
        assert_eq!(until_look(&mut places, Some(1)), 64);
        places.take_move();
        places.leave();
        assert_eq!(places.take_move(), Some(Move { to: None }));
    }
}
