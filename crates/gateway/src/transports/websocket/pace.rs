//! How fast one client may ask for things.
//!
//! What comes faster is not refused but read later: commands keep their order, none is lost, and the
//! answers to them cannot pile up.

use std::time::Duration;

use tokio::time::Instant;

/// Units that a connection earns per second.
pub(super) const UNITS_PER_SECOND: u32 = 200;
/// Units that may be used up at once.
const UNITS_AT_ONCE: u32 = 1_000;
/// How many names of a subscription count as one unit.
pub(super) const NAMES_PER_UNIT: usize = 4;
/// Units used up before the others of the shard get their turn: one subscription of the largest size.
const UNITS_PER_TURN: u32 = 64;
/// Having to wait, a connection waits for so many units: a timer for each would cost more than they do.
const UNITS_PER_PAUSE: u32 = 50;

/// Typing indicators per second, and at once.
pub(super) const TYPING_PER_SECOND: u32 = 5;

/// A client is told so often that it is too fast.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

const UNIT: Duration = Duration::from_millis(1_000 / UNITS_PER_SECOND as u64);
const NANOS_PER_BYTE: u64 = UNIT.as_nanos() as u64 / 1_024;

/// Lets so much through at once, and the same again over time. A bucket that is full says nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// How long a bucket that is empty takes to be full.
    depth: Duration,
    full_at: Instant,
}

impl Bucket {
    pub(super) fn new(depth: Duration) -> Self {
        Self { depth, full_at: Instant::now() }
    }

    /// Takes out what is earned in so much time, also where it is not there.
    pub(super) fn charge(&mut self, earned_in: Duration) {
        self.full_at = self.full_at.max(Instant::now()) + earned_in;
    }

    /// When there will be what is earned in so much time; `None` when it is there.
    pub(super) fn short_until(&self, earned_in: Duration) -> Option<Instant> {
        let there_at = (self.full_at + earned_in).checked_sub(self.depth)?;
        (there_at > Instant::now()).then_some(there_at)
    }
}

/// The pace of one connection. A message is a unit, a KiB of input is one, and [`NAMES_PER_UNIT`] names of a
/// subscription are one: what they cost the shard's thread.
#[derive(Debug)]
pub(super) struct CommandPace {
    bucket: Bucket,
    /// Of this, what was not counted against the tenant's share yet.
    spent: Duration,
    told_at: Option<Instant>,
}

impl CommandPace {
    pub(super) fn new() -> Self {
        Self { bucket: Bucket::new(UNIT * UNITS_AT_ONCE), spent: Duration::ZERO, told_at: None }
    }

    pub(super) fn bytes(&mut self, n_bytes: usize) {
        self.charge(Duration::from_nanos(n_bytes as u64 * NANOS_PER_BYTE));
    }

    pub(super) fn message(&mut self) {
        self.charge(UNIT);
    }

    pub(super) fn names(&mut self, n_names: usize) {
        self.charge(UNIT * n_names.div_ceil(NAMES_PER_UNIT) as u32);
    }

    fn charge(&mut self, earned_in: Duration) {
        self.spent += earned_in;
        self.bucket.charge(earned_in);
    }

    /// What was used up since this was last asked.
    pub(super) fn take_spent(&mut self) -> Duration {
        std::mem::take(&mut self.spent)
    }

    /// Whether the client had its turn: others of the shard come next.
    pub(super) fn is_turn_over(&self) -> bool {
        self.spent >= UNIT * UNITS_PER_TURN || self.pause().is_some()
    }

    /// Until when nothing more may be read, if so.
    pub(super) fn pause(&self) -> Option<Instant> {
        self.bucket.short_until(Duration::ZERO).map(|at| at + UNIT * UNITS_PER_PAUSE)
    }

    /// Whether the client may be told again that it is too fast.
    pub(super) fn may_tell(&mut self) -> bool {
        let may_tell = self.told_at.is_none_or(|at| at.elapsed() >= TELL_INTERVAL);
        if may_tell {
            self.told_at = Some(Instant::now());
        }
        may_tell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_commands_go_at_once_and_then_two_hundred_a_second() {
        let mut pace = CommandPace::new();
        let mut n_messages = 0;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            pace.message();
            n_messages += 1;
            if let Some(until) = pace.pause() {
                tokio::time::sleep_until(until).await;
            }
        }
        assert!((2_950..=3_060).contains(&n_messages), "{n_messages} in ten seconds");
        tokio::time::advance(Duration::from_secs(5)).await;
        let at_once = (0..2_000)
            .take_while(|_| {
                pace.message();
                pace.pause().is_none()
            })
            .count();
        assert_eq!(at_once, 1_000, "after a rest");
    }

    #[tokio::test(start_paused = true)]
    async fn size_and_names_count_too() {
        let units = |charge: &dyn Fn(&mut CommandPace)| {
            let mut pace = CommandPace::new();
            (0..2_000)
                .take_while(|_| {
                    charge(&mut pace);
                    pace.pause().is_none()
                })
                .count()
        };
        assert_eq!(units(&|pace| pace.names(256)), 15, "subscriptions of the largest size");
        assert!((999..=1_001).contains(&units(&|pace| pace.bytes(1_024))));
        assert_eq!(units(&|pace| pace.bytes(512 * 1_024)), 1, "the largest message passes at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_told_once_a_second() {
        let mut pace = CommandPace::new();
        assert_eq!([pace.may_tell(), pace.may_tell()], [true, false]);
        tokio::time::advance(TELL_INTERVAL).await;
        assert!(pace.may_tell());
    }
}
