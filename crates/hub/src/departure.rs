//! When connections are sent elsewhere, and when they are to be back.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The time in which a hub that goes away closes its connections; nothing until it does.
#[derive(Debug)]
pub(crate) struct Departure(watch::Sender<Option<Closing>>);

/// From when to when connections are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Default for Departure {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Departure {
    /// Begins it; once it has begun, the end can only come sooner. Gives the end.
    pub(crate) fn begin(&self, window: Duration) -> Instant {
        let from = Instant::now();
        let mut until = from + window;
        self.0.send_if_modified(|closing| {
            let begun = closing.unwrap_or(Closing { from, until });
            until = until.min(begun.until);
            let next = Some(Closing { until, ..begun });
            std::mem::replace(closing, next) != next
        });
        until
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Closing>> {
        self.0.subscribe()
    }
}

/// When, from the beginning of the window, each of `n` connections of one shard is closed: evenly over all of
/// it, and between the moments of the other shards.
pub(crate) fn moments(n: usize, window: Duration, shard: usize, n_shards: usize) -> impl Iterator<Item = Duration> {
    let phase = (shard as f64 + 0.5) / n_shards.max(1) as f64;
    (0..n).map(move |at| window.mul_f64((at as f64 + phase) / n as f64))
}

/// Does something for each of these at its moment, the moments rising. Cancel safe between two of them.
pub(crate) async fn at_their_moments<T>(due: impl IntoIterator<Item = (Instant, T)>, mut act: impl FnMut(T)) {
    for (at, whom) in due {
        sleep_until(at).await;
        act(whom);
    }
}

/// The longest that a client is told to stay away: enough for those who are closed together not to come back
/// together.
const LONGEST_ABSENCE: Duration = Duration::from_secs(5);

/// The part of what a client may miss that it is told to stay away for: the rest is for the network and for a
/// node that is busy with all the others.
const SHARE_OF_HISTORY: u32 = 4;

/// How long after its close a client is told to come back, by the number `dice`: a moment of its own, early enough for
/// it to be given what it missed, of which so much is kept.
pub(crate) fn absence(history: Duration, dice: u64) -> Duration {
    let at_most = (history / SHARE_OF_HISTORY).min(LONGEST_ABSENCE);
    Duration::from_millis(dice % (at_most.as_millis() as u64 + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn closes_are_spread_evenly_over_the_window(
            by_shard in prop::collection::vec(0usize..400, 1..9),
            window_ms in 1u64..300_000,
            n_slices in 1u32..20,
        ) {
            let window = Duration::from_millis(window_ms);
            let all: Vec<Duration> = by_shard.iter().enumerate()
                .flat_map(|(shard, n)| moments(*n, window, shard, by_shard.len()))
                .collect();
            let n_all: usize = by_shard.iter().sum();
            prop_assert_eq!(all.len(), n_all);
            prop_assert!(all.iter().all(|moment| *moment < window));
            let share = n_all as f64 / f64::from(n_slices);
            for slice in 0..n_slices {
                let (from, until) = (window * slice / n_slices, window * (slice + 1) / n_slices);
                let n = all.iter().filter(|moment| (from..until).contains(*moment)).count() as f64;
                // Each shard by itself is even to less than one connection at either end.
                prop_assert!((n - share).abs() <= 2.0 * by_shard.len() as f64, "{n} in a slice of {share}");
            }
        }

        #[test]
        fn every_absence_is_within_a_quarter_of_the_history(dice in any::<u64>(), millis in 0u64..100_000) {
            let history = Duration::from_millis(millis);
            prop_assert!(absence(history, dice) <= (history / 4).min(LONGEST_ABSENCE));
        }
    }

    #[test]
    fn moments_of_one_shard_rise() {
        let all: Vec<Duration> = moments(100, Duration::from_secs(20), 1, 2).collect();
        assert!(all.is_sorted());
        assert_eq!(moments(0, Duration::from_secs(20), 0, 1).count(), 0);
        assert!(moments(3, Duration::ZERO, 0, 1).all(|moment| moment.is_zero()));
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_done_at_its_moment() {
        let (start, window) = (Instant::now(), Duration::from_secs(20));
        let due = moments(50, window, 0, 1).map(|moment| (start + moment, moment));
        let mut done = Vec::new();
        at_their_moments(due, |moment| done.push((moment, start.elapsed()))).await;
        assert_eq!(done.len(), 50);
        for (moment, at) in done {
            assert!(at >= moment && at <= moment + Duration::from_millis(2), "{moment:?} done at {at:?}");
        }
    }

    #[test]
    fn a_second_beginning_only_hurries() {
        let departure = Departure::default();
        let closing = departure.subscribe();
        let until = departure.begin(Duration::from_secs(20));
        assert_eq!(departure.begin(Duration::from_mins(1)), until);
        let sooner = departure.begin(Duration::from_secs(1));
        assert!(sooner < until);
        assert_eq!(closing.borrow().map(|closing| closing.until), Some(sooner));
    }
}
