//! Settles finished attempts in batches, and does not let go of them while the database is away.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookswitch_protocol::{Chain, TenantId, WebhookId};
use tokio::sync::mpsc;

use super::effects;
use crate::context::Context;
use crate::seams::ledger::{Attempted, Disposition, DueWebhook, Finished, Lease, LedgerError};
use hookswitch_runtime::{BoxFuture, FairPermit};

/// Most bytes that are logged in one call. A batch of the largest bodies takes a database seconds: more
/// than it is given, and the same batch again would take as long.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

/// How an attempt ended, for the ledger.
#[derive(Debug)]
pub(super) enum Unsettled {
    /// It was made.
    Attempted(Box<MadeAttempt>),
    /// It never started; the delivery is given back.
    GivenBack(GivenBack),
}

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct MadeAttempt {
    pub(super) attempted: Attempted,
    /// What may come due with that: the next one of its order after the delivery's end, or the delivery itself.
    pub(super) next: Option<DueWebhook>,
    /// Room for its bodies until it is settled.
    pub(super) room: Option<FairPermit<TenantId>>,
}

impl MadeAttempt {
    /// The bytes it holds.
    pub(super) fn weight(&self) -> usize {
        weight(&self.attempted)
    }
}

/// A delivery that was not attempted.
#[derive(Debug)]
pub(super) struct GivenBack {
    pub(super) lease: Lease,
    /// It is due again then.
    pub(super) due: DueWebhook,
}

/// Runs until the last attempt has handed over its result.
pub(super) async fn run(context: Arc<Context>, mut ended: mpsc::Receiver<Unsettled>) {
    let most = context.config.settle_batch.max(1);
    let mut batch = Vec::with_capacity(most);
    while ended.recv_many(&mut batch, most).await > 0 {
        if batch.len() < most {
            tokio::time::sleep(context.config.settle_linger).await;
            while batch.len() < most
                && let Ok(more) = ended.try_recv()
            {
                batch.push(more);
            }
        }
        let n_settled = batch.len() as u64;
        settle(&context, batch.drain(..)).await;
        context.metrics.unsettled.sub(n_settled);
        // First come, first settled: what was held goes before what ended since.
        let n_held = context.n_held.load(Ordering::Relaxed).saturating_sub(n_settled);
        context.n_held.store(n_held, Ordering::Release);
    }
}

async fn settle(context: &Context, unsettled: impl Iterator<Item = Unsettled>) {
    let (mut attempts, mut leases, mut due) = (Vec::new(), Vec::new(), Vec::new());
    for unsettled in unsettled {
        match unsettled {
            Unsettled::Attempted(made) => attempts.push(*made),
            Unsettled::GivenBack(given_back) => {
                leases.push(given_back.lease);
                due.push(given_back.due);
            }
        }
    }
    lightest_first(&mut attempts);
    for piece in pieces(attempts) {
        let (mut attempts, mut next, mut rooms) = (Vec::with_capacity(piece.len()), Vec::new(), Vec::new());
        for made in piece {
            attempts.push(made.attempted);
            next.extend(made.next);
            rooms.extend(made.room);
        }
        finish(context, attempts).await;
        drop(rooms);
        // Only now: asked before the end was committed, the ledger would still hold the next one back.
        context.inbox.found_due(&next);
    }
    if !leases.is_empty() {
        context.metrics.counters.given_back.inc_by(leases.len() as u64);
        until_done(context, || context.seams.ledger.give_back(leases.clone())).await;
        context.inbox.found_due(&due);
    }
}

async fn finish(context: &Context, mut piece: Vec<Attempted>) {
    let rule = context.config.disable;
    while !piece.is_empty() {
        let settled = until_done(context, || context.seams.ledger.finish(piece.clone(), rule)).await;
        let n_settled = settled.finished.len();
        piece.iter().zip(settled.finished).for_each(|(attempted, finished)| count(context, attempted, finished));
        settled.disabled.iter().for_each(|disabled| effects::announce_disabled(context, disabled));
        if n_settled == 0 {
            break;
        }
        // What was settled is not settled twice: its log rows and failures would count double.
        piece.drain(..n_settled.min(piece.len()));
    }
}

/// Orders a batch so that nobody's next delivery waits for another webhook's large bodies. Those of one webhook stay
/// in their order, in which they count for its health.
fn lightest_first(attempts: &mut [MadeAttempt]) {
    let mut weights: HashMap<WebhookId, usize> = HashMap::new();
    for made in &*attempts {
        *weights.entry(made.attempted.row.webhook).or_default() += made.weight();
    }
    attempts.sort_by_key(|made| {
        let webhook = made.attempted.row.webhook;
        (weights.get(&webhook).copied(), webhook)
    });
}

/// Cuts a batch so that no piece of more than one has more than [`PIECE_BYTES`].
fn pieces(attempts: Vec<MadeAttempt>) -> Vec<Vec<MadeAttempt>> {
    let mut pieces: Vec<Vec<MadeAttempt>> = Vec::new();
    let mut n_bytes = 0;
    for made in attempts {
        let weight = made.weight();
        n_bytes += weight;
        if let Some(piece) = pieces.last_mut().filter(|_| n_bytes <= PIECE_BYTES) {
            piece.push(made);
        } else {
            n_bytes = weight;
            pieces.push(vec![made]);
        }
    }
    pieces
}

fn weight(Attempted { row, .. }: &Attempted) -> usize {
    row.body.len() + row.response_body.as_ref().map_or(0, String::len)
}

/// Calls again until the ledger has answered. The hard token ends it; then the leases run out.
async fn until_done<'a, T>(context: &Context, mut call: impl FnMut() -> BoxFuture<'a, Result<T, LedgerError>>) -> T {
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
        context.n_held.store(context.metrics.unsettled.get(), Ordering::Release);
        tokio::time::sleep(error.wait(Duration::from_secs(1))).await;
    }
}

fn count(context: &Context, attempted: &Attempted, finished: Finished) {
    let counters = &context.metrics.counters;
    let counter = match (finished, attempted.disposition) {
        (Finished::LeaseLost, _) => {
            tracing::info!(webhook = %attempted.row.webhook, attempt = attempted.row.attempt, "a webhook attempt outlived its lease");
            &counters.lease_lost
        }
        (Finished::Recorded, Disposition::Delivered) => &counters.delivered,
        (Finished::Recorded, Disposition::Failed | Disposition::Gone) => &counters.failed,
        (Finished::Recorded, Disposition::RetryAt(due)) => {
            context.inbox.retry_at(due);
            &counters.retried
        }
        (Finished::Recorded, Disposition::Postponed(due)) => {
            context.inbox.retry_at(due);
            &counters.postponed
        }
    };
    counter.inc();
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookswitch_protocol::{EventType, Timestamp};

    use super::*;
    use crate::seams::attempt_log::AttemptRow;
    use hookswitch_egress::Timings;

    fn made(webhook: i64, n_bytes: usize) -> MadeAttempt {
        let row = AttemptRow {
            webhook: WebhookId(webhook),
            event_type: EventType::ALERT,
            body: Bytes::from(vec![b' '; n_bytes]),
            response_code: None,
            response_body: None,
            error: None,
            duration_ms: 0,
            attempt: 1,
            delivery: None,
            timings: Timings::default(),
            at: Timestamp::from_millis(0),
        };
        let lease = Lease { number: 1, fence: 1 };
        let attempted = Attempted { lease, row, disposition: Disposition::Delivered, judged: None };
        MadeAttempt { attempted, next: None, room: None }
    }

    #[test]
    fn light_webhooks_are_settled_before_heavy_ones_and_each_in_its_order() {
        let mut batch: Vec<_> =
            [(1, 900), (2, 30), (1, 1), (3, 10), (2, 5)].into_iter().map(|(id, n)| made(id, n)).collect();
        lightest_first(&mut batch);
        let order: Vec<_> = batch.iter().map(|made| (made.attempted.row.webhook.0, made.weight())).collect();
        assert_eq!(order, [(3, 10), (2, 30), (2, 5), (1, 900), (1, 1)]);
    }

    #[test]
    fn large_bodies_are_settled_a_few_at_a_time() {
        let lengths = |sizes: &[usize]| {
            pieces(sizes.iter().map(|n_bytes| made(1, *n_bytes)).collect()).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[1_000; 256]), [256]);
        assert_eq!(lengths(&[1, PIECE_BYTES * 2, 1, PIECE_BYTES - 1, 1]), [1, 1, 2, 1]);
    }
}
