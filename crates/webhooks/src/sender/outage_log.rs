//! Tells the operator that attempts fail on our side of the way: they are no receiver's fault, so nobody else sees it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookswitch_egress::Failure;
use tokio::time::Instant;

use crate::seams::directory::Webhook;

/// In an outage every attempt fails; one line a minute is enough to see it.
const INTERVAL: Duration = Duration::from_mins(1);

/// What was told when.
#[derive(Debug, Default)]
pub(super) struct OutageLog(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    n_untold: u64,
}

impl OutageLog {
    /// Logs the failure of this webhook's attempt, or counts it for the next line.
    pub(super) fn tell(&self, webhook: &Webhook, failure: Option<Failure>) {
        let Some(n_others) = self.count() else { return };
        let failure = failure.map(|failure| failure.to_string()).unwrap_or_default();
        tracing::warn!(
            failure, n_others, tenant = %webhook.tenant, webhook = %webhook.id,
            "webhook attempts fail on our side: look at this server's name servers, proxy and limits"
        );
    }

    /// How many were not told since the last line, if it is time for another.
    fn count(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.is_some_and(|told| told.elapsed() < INTERVAL) {
            state.n_untold += 1;
            return None;
        }
        state.told = Some(Instant::now());
        Some(std::mem::take(&mut state.n_untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_minute_counts_the_others() {
        let log = OutageLog::default();
        assert_eq!([log.count(), log.count(), log.count()], [Some(0), None, None]);
        tokio::time::advance(INTERVAL).await;
        assert_eq!([log.count(), log.count()], [Some(2), None]);
    }
}
