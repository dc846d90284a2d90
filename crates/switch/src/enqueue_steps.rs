//! Ids and deliveries of one batch, stored in steps that leave room for others' transactions.
//!
//! A batch that is small enough ([`ENQUEUE_DELIVERIES`], [`ENQUEUE_BYTES`]) is stored by one call, all or
//! nothing. A larger one, which many events for many webhooks make, is cut between events: an event's id and
//! deliveries always stand in one transaction, so whoever publishes again gets none of them twice where he
//! chose the ids. When the store fails between two steps, the events before are accepted and those after are
//! not. After each step it rests for as long as that took, so that half of the time the store is the others'.

use std::ops::Range;
use std::time::Duration;

use hookswitch_protocol::Timestamp;
use hookswitch_webhooks::{ENQUEUE_BYTES, ENQUEUE_DELIVERIES, ENQUEUE_STEP, NewDeliveries};
use tokio::time::Instant;

use crate::context::Context;
use crate::error::AcceptError;
use crate::prepared_batch::PendingEvent;

/// The steps were not all done.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// How many events of the batch, from the first, need nothing more: everything they mean is stored.
    pub(crate) n_stored: usize,
    pub(crate) error: AcceptError,
}

/// The bounds of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    n_deliveries: usize,
    n_bytes: usize,
}

/// The longest rest between two steps: a database that is slow for another reason is not left alone for long.
const LONGEST_REST: Duration = Duration::from_millis(100);

const WHOLE: Bounds = Bounds { n_deliveries: ENQUEUE_DELIVERIES, n_bytes: ENQUEUE_BYTES };
const PART: Bounds = Bounds { n_deliveries: ENQUEUE_STEP, n_bytes: ENQUEUE_BYTES / 4 };

/// Stores what the ledger must know of these events, and marks those that it knew.
pub(crate) async fn store(context: &Context, events: &mut [PendingEvent], now: Timestamp) -> Result<(), Stopped> {
    let bounds = bounds(events.iter().filter(|event| is_due(event)).map(weight));
    let (mut start, mut rest) = (0, Duration::ZERO);
    while let Some(step) = next_step(events[start..].iter().map(|event| is_due(event).then(|| weight(event))), bounds) {
        let step = start + step.start..start + step.end;
        if start > 0 {
            tokio::time::sleep(rest).await;
        }
        let began = Instant::now();
        let stored = store_step(context, &mut events[step.clone()], now).await;
        stored.map_err(|error| Stopped { n_stored: if start == 0 { 0 } else { step.start }, error })?;
        rest = began.elapsed().min(LONGEST_REST);
        start = step.end;
    }
    Ok(())
}

fn is_due(event: &PendingEvent) -> bool {
    event.is_to_deliver() && !event.is_repeated
}

/// Rows and bytes; an id without deliveries is a row as well.
fn weight(event: &PendingEvent) -> Bounds {
    Bounds { n_deliveries: event.n_webhooks.max(1), n_bytes: event.event.payload.as_str().len() }
}

fn bounds(weights: impl Iterator<Item = Bounds>) -> Bounds {
    let (n_deliveries, n_bytes) =
        weights.fold((0, 0), |sum: (usize, usize), one| (sum.0 + one.n_deliveries, sum.1 + one.n_bytes));
    if n_deliveries <= WHOLE.n_deliveries && n_bytes <= WHOLE.n_bytes { WHOLE } else { PART }
}

/// From the first event that has a weight as far as the bounds allow, and that one at least; `None` when none
/// has one.
fn next_step(weights: impl Iterator<Item = Option<Bounds>>, most: Bounds) -> Option<Range<usize>> {
    let mut step: Option<Range<usize>> = None;
    let (mut n_deliveries, mut n_bytes) = (0, 0);
    for (at, weight) in weights.enumerate() {
        let Some(weight) = weight else { continue };
        (n_deliveries, n_bytes) = (n_deliveries + weight.n_deliveries, n_bytes + weight.n_bytes);
        match &mut step {
            None => step = Some(at..at + 1),
            Some(_) if n_deliveries > most.n_deliveries || n_bytes > most.n_bytes => break,
            Some(step) => step.end = at + 1,
        }
    }
    step
}

async fn store_step(context: &Context, events: &mut [PendingEvent], now: Timestamp) -> Result<(), AcceptError> {
    let due = events.iter_mut().filter(|event| is_due(event)).map(|event| (event.deliveries(context, now), event));
    // A webhook may have gone since they were counted.
    let due = due.filter(|(new, _)| new.fingerprint.is_some() || !new.targets.is_empty());
    let (batch, mut due): (Vec<NewDeliveries>, Vec<&mut PendingEvent>) = due.unzip();
    if batch.is_empty() {
        return Ok(());
    }
    let n_deliveries: usize = batch.iter().map(|new| new.targets.len()).sum();
    let seen = context.webhooks.enqueue(batch).await?;
    // Normally all are new; another node may have accepted an id since it was looked up.
    for (event, seen) in due.iter_mut().zip(seen) {
        event.mark(seen)?;
    }
    context.metrics.deliveries.inc_by(n_deliveries as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n_deliveries: usize, n_bytes: usize) -> Bounds {
        Bounds { n_deliveries, n_bytes }
    }

    /// Where each step begins and ends.
    fn steps(weights: &[Option<Bounds>]) -> Vec<(usize, usize)> {
        let bounds = bounds(weights.iter().flatten().copied());
        let (mut steps, mut start) = (Vec::new(), 0);
        while let Some(step) = next_step(weights[start..].iter().copied(), bounds) {
            steps.push((start + step.start, start + step.end));
            start += step.end;
        }
        steps
    }

    #[test]
    fn a_request_for_one_webhook_is_one_step_and_a_larger_one_is_cut() {
        assert_eq!(steps(&vec![Some(row(1, 100)); 1_000]), [(0, 1_000)], "the largest request");
        assert_eq!(steps(&[Some(row(1_000, 100))]), [(0, 1)]);
        assert_eq!(steps(&[Some(row(2_000, 100))]), [(0, 1)], "one event is never cut");
        let many = steps(&vec![Some(row(300, 100)); 1_000]);
        assert_eq!((many.len(), many[999]), (1_000, (999, 1_000)));
        let some = steps(&[Some(row(100, 100)); 11]);
        assert_eq!(some, [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 11)]);
        assert_eq!(steps(&[Some(row(1, 600 * 1024)); 2]), [(0, 1), (1, 2)], "by bytes");
    }

    #[test]
    fn what_the_ledger_need_not_know_is_in_no_step() {
        assert_eq!(steps(&[]), []);
        assert_eq!(steps(&[None, None]), []);
        let mixed = [None, Some(row(600, 0)), None, Some(row(600, 0)), None];
        assert_eq!(steps(&mixed), [(1, 2), (3, 4)]);
        assert_eq!(steps(&[None, Some(row(1, 0)), None, Some(row(1, 0)), None]), [(1, 4)]);
    }
}
