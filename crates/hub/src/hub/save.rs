//! One thing with [`hub`](super): recent history saved as the node ends.

use tokio::time::{Instant, timeout_at};

use super::Hub;
use hookswitch_protocol::Chain;

use crate::seams::history::{HistoryError, HistoryStore, SavedPart};

/// Ends of tenants' histories saved together.
const HEADS_AT_ONCE: usize = 500;

/// The body of [`Hub::save_history`].
pub(super) async fn save_history(hub: &Hub, deadline: Instant) -> bool {
    let Some(store) = hub.0.saved_history.as_ref().filter(|_| hub.0.broker.is_alone()) else { return true };
    match timeout_at(deadline, save_to(hub, &**store)).await {
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

async fn save_to(hub: &Hub, store: &dyn HistoryStore) -> Result<(), HistoryError> {
    let history = &hub.0.fanout.shared.history;
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
