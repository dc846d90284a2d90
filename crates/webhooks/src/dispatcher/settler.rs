//! Settles finished attempts in batches, and does not let go of them while the database is away.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::{Chain, Retry};
use tokio::sync::mpsc;

use super::Shared;
use crate::ledger::{Attempted, Finished, Lease, LedgerError, Verdict};

/// How an attempt ended, for the ledger.
#[derive(Debug)]
pub(super) enum Ending {
    /// It was made.
    Attempted(Box<Attempted>),
    /// It was cut off at shutdown; the delivery is given back.
    CutOff(Lease),
}

/// Runs until the last attempt has handed over its result.
pub(super) async fn run(shared: Arc<Shared>, mut ended: mpsc::Receiver<Ending>) {
    let most = shared.config.settle_batch.max(1);
    let mut batch = Vec::with_capacity(most);
    while ended.recv_many(&mut batch, most).await > 0 {
        if batch.len() < most {
            tokio::time::sleep(shared.config.settle_linger).await;
            while batch.len() < most
                && let Ok(more) = ended.try_recv()
            {
                batch.push(more);
            }
        }
        let n_endings = batch.len() as u64;
        settle(&shared, batch.drain(..)).await;
        shared.counters.unsettled.sub(n_endings);
    }
}

async fn settle(shared: &Shared, endings: impl Iterator<Item = Ending>) {
    let mut attempts = Vec::new();
    let mut leases = Vec::new();
    for ending in endings {
        match ending {
            Ending::Attempted(attempted) => attempts.push(*attempted),
            Ending::CutOff(lease) => leases.push(lease),
        }
    }
    if !attempts.is_empty() {
        let rule = shared.config.disable;
        let settled = until_done(|| shared.ledger.finish(attempts.clone(), rule)).await;
        attempts.iter().zip(settled.finished).for_each(|(attempted, finished)| count(shared, attempted, finished));
    }
    if !leases.is_empty() {
        until_done(|| shared.ledger.give_back(leases.clone())).await;
    }
}

/// Calls again until the ledger has answered. The hard token ends it; then the leases run out.
async fn until_done<'a, T>(mut call: impl FnMut() -> crate::seam::BoxFuture<'a, Result<T, LedgerError>>) -> T {
    let mut is_away = false;
    loop {
        let error = match call().await {
            Ok(done) => return done,
            Err(error) => error,
        };
        if !is_away {
            tracing::warn!(error = %Chain(&error), "webhook attempts are held until they can be settled");
        }
        is_away = true;
        let wait = match error.retry() {
            Retry::Now => Duration::ZERO,
            Retry::After(wait) => wait,
            Retry::Never => Duration::from_secs(1),
        };
        tokio::time::sleep(wait).await;
    }
}

fn count(shared: &Shared, attempted: &Attempted, finished: Finished) {
    let counters = &shared.counters;
    match (finished, attempted.verdict) {
        (Finished::LeaseLost, _) => {
            tracing::info!(webhook = %attempted.row.webhook, attempt = attempted.row.attempt, "a webhook attempt outlived its lease");
            counters.lease_lost.add(1);
        }
        (Finished::Recorded, Verdict::Delivered) => counters.delivered.add(1),
        (Finished::Recorded, Verdict::Failed | Verdict::Gone) => counters.failed.add(1),
        (Finished::Recorded, Verdict::RetryAt(due)) => {
            counters.retried.add(1);
            shared.agenda.retry_at(due);
        }
    }
}
