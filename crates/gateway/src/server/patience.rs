//! How long a client is waited for that does not take what is written to it, or takes it by drops.

use std::time::Duration;

use tokio::time::Instant;

/// Whoever takes so many bytes a second is waited for as long as it likes.
const LEAST_RATE: u32 = 8 * 1024;
/// The same once the node ends.
const ENDING_RATE: u32 = 1024 * 1024;
/// How long is waited for a byte once the node ends.
const ENDING_PATIENCE: Duration = Duration::from_secs(1);

/// Time that a client may keep its connection blocked. It is used up while the socket takes nothing, and comes back
/// by what is taken, and by the time in which nobody waits.
#[derive(Debug)]
pub(super) struct Patience {
    all: Duration,
    left: Duration,
    rate: u32,
    blocked_since: Option<Instant>,
    free_since: Instant,
}

impl Patience {
    pub(super) fn new(all: Duration) -> Self {
        Self { all, left: all, rate: LEAST_RATE, blocked_since: None, free_since: Instant::now() }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// The node ends: what still comes is to come fast.
    pub(super) fn hurry(&mut self) {
        if self.rate == ENDING_RATE {
            return;
        }
        self.rate = ENDING_RATE;
        self.all = self.all.min(ENDING_PATIENCE);
        self.left = self.all;
        self.blocked_since = self.blocked_since.map(|_| Instant::now());
    }

    /// The socket takes nothing now; gives when that has lasted too long.
    pub(super) fn blocked(&mut self) -> Instant {
        let now = Instant::now();
        let since = *self.blocked_since.get_or_insert_with(|| {
            self.left = self.all.min(self.left + (now - self.free_since));
            now
        });
        since + self.left
    }

    /// So many bytes were taken; whether it was blocked before.
    pub(super) fn taken(&mut self, n_bytes: usize) -> bool {
        let now = Instant::now();
        let since = self.blocked_since.take();
        let left = match since {
            Some(since) => {
                let earned = Duration::from_secs_f64(n_bytes as f64 / f64::from(self.rate));
                self.left.saturating_sub(now - since) + earned
            }
            None => self.left + (now - self.free_since),
        };
        (self.left, self.free_since) = (self.all.min(left), now);
        since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Duration = Duration::from_secs(30);

    /// How long somebody lasts who takes so many bytes each time that so much has passed, an hour at most.
    async fn lasts(patience: &mut Patience, n_bytes: usize, every: Duration) -> Duration {
        let start = Instant::now();
        while start.elapsed() < Duration::from_hours(1) {
            if patience.blocked() < Instant::now() + every {
                return patience.blocked() - start;
            }
            tokio::time::advance(every).await;
            patience.taken(n_bytes);
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_by_drops_is_not_waited_for_longer_than_one_that_takes_nothing() {
        let drops = lasts(&mut Patience::new(ALL), 64 * 1024, Duration::from_secs(29)).await;
        assert!((30..=40).contains(&drops.as_secs()), "64 KiB every 29 s: {drops:?}");
        let slow = lasts(&mut Patience::new(ALL), 64 * 1024, Duration::from_secs(7)).await;
        assert_eq!(slow.as_secs() / 3_600, 1, "9 KiB a second is a slow line");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_ends_waits_a_second_for_drops_and_longer_for_a_reader() {
        for (n_bytes, is_waited_for) in [(64 * 1024, false), (1024 * 1024, true)] {
            let mut patience = Patience::new(ALL);
            patience.blocked();
            patience.hurry();
            let lasted = lasts(&mut patience, n_bytes, Duration::from_millis(900)).await;
            assert_eq!(lasted > Duration::from_secs(5), is_waited_for, "{n_bytes} bytes each 0.9 s: {lasted:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_is_waited_for_anew() {
        let mut patience = Patience::new(ALL);
        for _ in 0..20 {
            patience.blocked();
            tokio::time::advance(Duration::from_secs(20)).await;
            assert!(patience.taken(1));
            assert!(!patience.taken(1));
            // The next request comes a while later.
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        assert_eq!(patience.blocked() - Instant::now(), ALL);
    }
}
