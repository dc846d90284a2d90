//! A tenant's share of what clients cost a shard's thread by what they say.

use std::time::Duration;

use tokio::time::Instant;

/// A tenant's clients may say as much as so many that each talk as fast as one may.
const CLIENTS: u32 = 100;

/// How much of that may come at once.
const AT_ONCE: Duration = Duration::from_millis(100);

/// What a tenant's clients have used up of their share.
#[derive(Debug, Default)]
pub(crate) struct CommandShare {
    full_at: Option<Instant>,
}

impl CommandShare {
    /// Takes out what one client earns in so much time, also where it is not there; gives how long nothing
    /// more may be taken in, if so.
    pub(crate) fn charge(&mut self, earned_in: Duration) -> Option<Duration> {
        let now = Instant::now();
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + earned_in / CLIENTS;
        self.full_at = Some(full_at);
        let wait = (full_at - now).checked_sub(AT_ONCE)?;
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_clients_worth_goes_through_and_no_more() {
        let mut share = CommandShare::default();
        let second = Duration::from_secs(1);
        assert_eq!(share.charge(10 * second), None, "a tenth of a second of a hundred clients at once");
        assert_eq!(share.charge(second), Some(Duration::from_millis(10)));
        tokio::time::advance(Duration::from_millis(10)).await;
        assert_eq!(share.charge(Duration::ZERO), None);
        tokio::time::advance(second).await;
        assert_eq!(share.charge(10 * second), None, "full again, and not fuller");
        assert!(share.charge(second).is_some());
    }
}
