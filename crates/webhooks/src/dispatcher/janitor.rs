//! Sweeps leases that ran out and purges what is past retention.

use std::sync::Arc;

use hookswitch_protocol::Chain;
use tokio::time::Instant;

use super::Shared;
use crate::ledger::{LedgerError, Retention, Sweep, Swept};

/// Most rows removed in one call, so that publishers do not wait behind a purge.
const PURGE_ROWS: u32 = 500;

/// Runs until the soft token. The first sweep is at once: others count this node from then on.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut next_purge = Instant::now() + shared.config.purge_interval;
    loop {
        let sweep =
            Sweep { by: shared.node.clone(), now: shared.clock.now(), dead_after: shared.config.node_dead_after };
        // Failures are not told: the leaser and the watcher meet the same ledger and tell.
        if let Ok(Swept { n_leases, n_nodes }) = shared.ledger.sweep(sweep).await {
            if n_leases > 0 {
                tracing::info!(n_leases, "webhook deliveries are due again, nobody kept up their leases");
            }
            shared.agenda.nodes_counted(n_nodes);
        }
        if Instant::now() >= next_purge {
            if let Err(error) = purge(&shared).await {
                tracing::debug!(error = %Chain(&error), "old webhook rows stay for now");
            }
            next_purge = Instant::now() + shared.config.purge_interval;
        }
        tokio::select! {
            () = shared.scope.soft().cancelled() => return,
            () = tokio::time::sleep(shared.config.sweep_interval) => {}
        }
    }
}

/// Purges step by step until a step finds less than its limit.
async fn purge(shared: &Shared) -> Result<(), LedgerError> {
    while !shared.scope.soft().is_cancelled() {
        let retention = Retention { now: shared.clock.now(), ended: shared.config.retention, limit: PURGE_ROWS };
        if shared.ledger.purge(retention).await? < u64::from(PURGE_ROWS) {
            break;
        }
    }
    Ok(())
}
