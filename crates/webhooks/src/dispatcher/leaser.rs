//! Leases what is due and has room, and starts the attempts.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::{Chain, Retry};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::lanes::Lanes;
use super::settler::Ending;
use super::{Shared, attempt};
use crate::ledger::{LeaseRequest, LeaseWish, LedgerError};

/// Runs until the soft token, then waits for the running attempts: by themselves within the grace,
/// cut off after it.
pub(super) async fn run(shared: Arc<Shared>, ended: mpsc::Sender<Ending>) {
    let mut lanes = Lanes::new(&shared.config);
    let mut is_away = false;
    let mut leased_at = None;
    while !shared.scope.soft().is_cancelled() {
        pace(&shared, leased_at).await;
        lanes.absorb(shared.agenda.take());
        let wishes = lanes.plan();
        if wishes.is_empty() {
            tokio::select! {
                () = shared.agenda.arrived.notified() => {}
                () = shared.scope.soft().cancelled() => break,
            }
            continue;
        }
        leased_at = Some(Instant::now());
        // Not in a `select!`: a lease that was granted to a dropped future would be lost until it runs out.
        match lease(&shared, &mut lanes, wishes, &ended).await {
            Ok(()) => is_away = false,
            Err(error) => {
                if !is_away {
                    tracing::warn!(error = %Chain(&error), "webhook deliveries wait for the ledger");
                }
                is_away = true;
                pause(&shared, &error).await;
            }
        }
    }
    wind_down(&shared, &mut lanes).await;
}

/// Waits until the pause after the last lease call is over, so that what comes free meanwhile is
/// leased in one call.
async fn pace(shared: &Shared, leased_at: Option<Instant>) {
    if let Some(leased_at) = leased_at {
        tokio::time::sleep_until(leased_at + shared.config.lease_pause).await;
    }
}

async fn lease(
    shared: &Arc<Shared>,
    lanes: &mut Lanes,
    wishes: Vec<LeaseWish>,
    ended: &mpsc::Sender<Ending>,
) -> Result<(), LedgerError> {
    let request = LeaseRequest {
        by: shared.node.clone(),
        now: shared.clock.now(),
        hold: shared.config.lease_hold,
        wishes: wishes.clone(),
    };
    let leased = match shared.ledger.lease(request).await {
        Ok(leased) => leased,
        Err(error) => {
            lanes.refused(&wishes);
            return Err(error);
        }
    };
    lanes.granted(&wishes, &leased);
    for delivery in leased {
        attempt::start(shared, delivery, ended.clone());
    }
    Ok(())
}

/// Waits as long as the error advises, or until the soft token.
async fn pause(shared: &Shared, error: &LedgerError) {
    let wait = match error.retry() {
        Retry::Now => Duration::ZERO,
        Retry::After(wait) => wait,
        Retry::Never => shared.config.poll_interval,
    };
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = shared.scope.soft().cancelled() => {}
    }
}

async fn wind_down(shared: &Shared, lanes: &mut Lanes) {
    let all_ended = async {
        loop {
            lanes.absorb(shared.agenda.take());
            if lanes.n_busy() == 0 {
                return;
            }
            shared.agenda.arrived.notified().await;
        }
    };
    if tokio::time::timeout(shared.config.stop_grace, all_ended).await.is_err() {
        tracing::info!(n_deliveries = lanes.n_busy(), "running webhook deliveries are given back");
        shared.cut.cancel();
    }
}
