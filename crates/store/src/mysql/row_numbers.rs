//! Numbers for the rows of events, without asking the database.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_protocol::Timestamp;

/// Bits of a number that are chosen by chance.
const CHANCE_BITS: u32 = 21;

/// Chooses numbers that are very probably free.
///
/// `MAX(id) + 1` would be every node's first choice. So a number is the time, which keeps neighbours
/// together in the table, and some bits by chance. Where two nodes choose the same, the later one fails
/// on the primary key and is run again with another number.
#[derive(Debug)]
pub(crate) struct RowNumbers {
    chance: RandomState,
    n_chosen: AtomicU64,
}

impl RowNumbers {
    /// Numbers whose chance comes from this state, which no other process has.
    pub(crate) fn new(chance: RandomState) -> Self {
        Self { chance, n_chosen: AtomicU64::new(0) }
    }

    /// The first number for events accepted until `latest`; those after it are very probably free as well.
    pub(crate) fn choose(&self, latest: Option<Timestamp>) -> i64 {
        let millis = latest.map_or(0, Timestamp::as_millis).clamp(0, (1 << 42) - 1);
        let n = self.n_chosen.fetch_add(1, Ordering::Relaxed);
        let chance = self.chance.hash_one(n) as i64 & ((1 << CHANCE_BITS) - 1);
        (millis << CHANCE_BITS) | chance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_follows_the_time_and_is_another_one_each_time() {
        let numbers = RowNumbers::new(RandomState::new());
        let at = |millis| numbers.choose(Some(Timestamp::from_millis(millis)));
        let now: Vec<i64> = (0..4).map(|_| at(1_000)).collect();
        assert!(now.iter().any(|number| *number != now[0]), "{now:?}");
        assert!(now.iter().all(|number| (1_000 << CHANCE_BITS..1_001 << CHANCE_BITS).contains(number)), "{now:?}");
        assert!(at(i64::MAX) > 0);
    }
}
