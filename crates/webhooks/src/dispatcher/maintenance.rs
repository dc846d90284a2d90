//! Sweeps leases that ran out and purges what is past retention.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hookswitch_protocol::Chain;
use tokio::time::Instant;

use crate::context::Context;
use crate::seams::ledger::{Retention, Sweep, Swept};

/// Most rows removed in one call, so that publishers do not wait behind a purge.
const PURGE_ROWS: u32 = 500;

/// Runs until the soft token. The first sweep is at once: others count this node from then on.
pub(super) async fn run(context: Arc<Context>) {
    let mut next_purge = Instant::now() + context.config.purge_interval;
    loop {
        let next_sweep = Instant::now() + context.config.sweep_interval;
        sweep(&context).await;
        if Instant::now() >= next_purge && purge(&context, next_sweep).await {
            next_purge = Instant::now() + context.config.purge_interval;
        }
        tokio::select! {
            () = context.scope.soft().cancelled() => return,
            () = tokio::time::sleep_until(next_sweep) => {}
        }
    }
}

async fn sweep(context: &Context) {
    if context.n_held.load(Ordering::Acquire) > 0 {
        // Their leases may have run out while the ledger was away: swept before they are settled, they
        // would all be sent again. Should settling fail for good, others take over.
        return;
    }
    let sweep =
        Sweep { by: context.node.clone(), now: context.clock.now(), dead_after: context.config.node_dead_after };
    // Failures are not logged: the leaser and the poller meet the same ledger and log them.
    if let Ok(Swept { n_leases, n_nodes }) = context.seams.ledger.sweep(sweep).await {
        if n_leases > 0 {
            tracing::info!(n_leases, "webhook deliveries are due again, nobody kept up their leases");
        }
        context.inbox.nodes_counted(n_nodes);
    }
}

/// Purges step by step until a step finds less than its limit or fails; whether it was done by `until`.
/// A sweep must not wait for a million old rows: others would take this node for dead.
async fn purge(context: &Context, until: Instant) -> bool {
    while !context.scope.soft().is_cancelled() && Instant::now() < until {
        let retention = Retention { now: context.clock.now(), ended: context.config.retention, limit: PURGE_ROWS };
        match context.seams.ledger.purge(retention).await {
            Ok(n_rows) if n_rows >= u64::from(PURGE_ROWS) => {}
            Ok(_) => return true,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "old webhook rows stay for now");
                return true;
            }
        }
    }
    false
}
