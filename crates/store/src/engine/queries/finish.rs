//! Settling attempts, for many callers at once.

use std::collections::HashMap;

use diesel::prelude::*;
use hookswitch_protocol::Timestamp;
use hookswitch_webhooks::{Attempted, Finished, Verdict};

use super::dialect::{self, CHUNK, Conn, for_update};
use super::logs;
use crate::schema::webhook_deliveries as deliveries;

/// What is in force of a batch's verdicts.
#[derive(Default)]
struct Verdicts {
    delivered: Vec<i64>,
    failed: Vec<i64>,
    again: Vec<(i64, Timestamp)>,
    triggered: HashMap<i64, Timestamp>,
    ended: Option<Timestamp>,
}

/// Settles every batch; one list of answers per batch.
pub(crate) fn finish(conn: &mut Conn, batches: &[Vec<Attempted>]) -> QueryResult<Vec<Vec<Finished>>> {
    let mut held = load_held(conn, batches)?;
    let mut verdicts = Verdicts::default();
    let answers = batches
        .iter()
        .map(|batch| batch.iter().map(|attempted| verdicts.take(&mut held, attempted)).collect())
        .collect();
    // Before the log rows, which lock their webhooks for reading: two nodes that want more than that
    // afterwards would wait for each other.
    verdicts.trigger(conn)?;
    log(conn, batches)?;
    verdicts.store(conn)?;
    Ok(answers)
}

/// The fences in force of the deliveries that are leased.
fn load_held(conn: &mut Conn, batches: &[Vec<Attempted>]) -> QueryResult<HashMap<i64, i64>> {
    let mut numbers: Vec<i64> = batches.iter().flatten().map(|attempted| attempted.lease.number).collect();
    numbers.sort_unstable();
    let mut held = HashMap::with_capacity(numbers.len());
    for chunk in numbers.chunks(CHUNK) {
        let leased = deliveries::table
            .filter(deliveries::id.eq_any(chunk))
            .filter(deliveries::state.eq("leased"))
            .select((deliveries::id, deliveries::fence));
        let rows: Vec<(i64, i64)> = for_update!(leased).load(conn)?;
        held.extend(rows);
    }
    Ok(held)
}

/// Every attempt was made and gets its row, whoever holds the delivery now. Only a webhook whose row
/// an operator deleted by hand can have no log any more.
fn log(conn: &mut Conn, batches: &[Vec<Attempted>]) -> QueryResult<()> {
    let rows: Vec<_> = batches.iter().flatten().map(|attempted| &attempted.row).collect();
    logs::append(conn, &rows)
}

impl Verdicts {
    fn take(&mut self, held: &mut HashMap<i64, i64>, attempted: &Attempted) -> Finished {
        let Attempted { lease, row, verdict } = attempted;
        if held.get(&lease.number) != Some(&lease.fence) {
            return Finished::LeaseLost;
        }
        held.remove(&lease.number);
        match verdict {
            Verdict::Delivered => self.delivered.push(lease.number),
            Verdict::Failed => self.failed.push(lease.number),
            Verdict::RetryAt(at) => self.again.push((lease.number, *at)),
        }
        self.ended = self.ended.max(Some(row.at));
        let last = self.triggered.entry(row.webhook.0).or_insert(row.at);
        *last = row.at.max(*last);
        Finished::Recorded
    }

    fn store(&self, conn: &mut Conn) -> QueryResult<()> {
        // One time for all that end in this transaction: the log rows hold the exact ones.
        let ended_at = self.ended.map(Timestamp::as_millis);
        for (state, numbers) in [("delivered", &self.delivered), ("failed", &self.failed)] {
            for chunk in numbers.chunks(CHUNK) {
                diesel::update(deliveries::table.filter(deliveries::id.eq_any(chunk)))
                    .set((
                        deliveries::state.eq(state),
                        deliveries::lease_owner.eq(None::<String>),
                        deliveries::lease_until.eq(None::<i64>),
                        deliveries::ended_at.eq(ended_at),
                    ))
                    .execute(conn)?;
            }
        }
        for (number, at) in &self.again {
            diesel::update(deliveries::table.find(number))
                .set((
                    deliveries::state.eq("due"),
                    deliveries::lease_owner.eq(None::<String>),
                    deliveries::lease_until.eq(None::<i64>),
                    deliveries::attempt.eq(deliveries::attempt + 1),
                    deliveries::is_retry.eq(true),
                    deliveries::due_at.eq(at.as_millis()),
                ))
                .execute(conn)?;
        }
        Ok(())
    }

    /// In the order of their ids, so that nodes do not wait for each other crosswise.
    fn trigger(&self, conn: &mut Conn) -> QueryResult<()> {
        let mut triggered: Vec<_> = self.triggered.iter().collect();
        triggered.sort_unstable_by_key(|(webhook, _)| **webhook);
        triggered.into_iter().try_for_each(|(webhook, at)| dialect::trigger(conn, *webhook, *at))
    }
}
