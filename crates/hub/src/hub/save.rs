//! Recent history saved as the node ends.

use tokio::time::{Instant, timeout_at};

use super::Hub;
use hookswitch_protocol::Chain;

use crate::seams::history::{HistoryError, HistoryStore, SavedPart};

/// Ends of tenants' histories saved together.
const HEADS_AT_ONCE: usize = 500;

impl Hub {
    /// Saves recent history for the next node on the same store, where there is one and this node gives the positions:
    /// where each tenant's history ends first, then the newest events of each, then older ones, until `deadline`. What
    /// was not saved is not kept any more after the restart. Call it when nothing is published any more. Whether all of
    /// it was saved. Cancel safe; calling it again begins anew.
    pub async fn save_history(&self, deadline: Instant) -> bool {
        let Some(store) = self.0.saved_history.as_ref().filter(|_| self.0.broker.is_alone()) else { return true };
        match timeout_at(deadline, self.save_to(&**store)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "recent history was not saved: clients that come back may be told to fetch the present state");
                false
            }
            Err(_elapsed) => {
                tracing::warn!("the time was up before all of recent history was saved: the oldest is left out");
                false
            }
        }
    }

    async fn save_to(&self, store: &dyn HistoryStore) -> Result<(), HistoryError> {
        let history = &self.0.fanout.shared.history;
        let (heads, mut left): (Vec<SavedPart>, Vec<_>) = history.save_heads().into_iter().unzip();
        for some in heads.chunks(HEADS_AT_ONCE) {
            store.save(some.to_vec()).await?;
        }
        // Round by round, so that everybody's newest are saved before anybody's older ones.
        while !left.is_empty() {
            let mut further = Vec::with_capacity(left.len());
            for mut saving in left {
                if let Some(part) = history.save_next(&mut saving) {
                    store.save(vec![part]).await?;
                    further.push(saving);
                }
            }
            left = further;
        }
        Ok(())
    }
}
