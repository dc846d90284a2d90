//! One group: merge neighbours, one transaction, one commit, everybody answered.

use std::sync::Arc;

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};

use super::context::WriterContext;
use super::dialect::{self, Conn};
use super::job::{Job, Merged, Work};
use super::queries;
use super::stats::WriterStats;
use crate::error::Failure;

/// How often a transaction is run that meets those of other nodes; the deadline of the group's
/// connection holds over all of them.
const TRIES: u32 = 8;

/// Runs the group and answers its callers. An error means that the connection is not to be used again.
pub(crate) fn run(
    conn: &mut Conn,
    jobs: Vec<Job>,
    context: &Arc<WriterContext>,
    stats: &WriterStats,
) -> Result<(), Failure> {
    stats.metrics.writes.inc_by(jobs.len() as u64);
    let mut works = merge(jobs, context);
    match transact(conn, &mut works, stats) {
        Ok(()) => {
            for work in works {
                work.answer(Ok(()));
            }
            Ok(())
        }
        Err(error) if works.len() > 1 && (concerns_one(&error) || dialect::may_concern_one(&error)) => {
            one_by_one(conn, works, stats)
        }
        Err(error) => {
            let is_usable = concerns_one(&error);
            let failure = Failure::from(error);
            for work in works {
                work.answer(Err(failure.clone()));
            }
            if is_usable { Ok(()) } else { Err(failure) }
        }
    }
}

/// One of them has spoilt the transaction: give each its own, so that only that one fails.
fn one_by_one(conn: &mut Conn, works: Vec<Box<dyn Work>>, stats: &WriterStats) -> Result<(), Failure> {
    let mut ended = Ok(());
    for mut work in works {
        let outcome = transact(conn, std::slice::from_mut(&mut work), stats).map_err(|error| {
            let concerns_all = !concerns_one(&error);
            let failure = Failure::from(error);
            if concerns_all {
                ended = Err(failure.clone());
            }
            failure
        });
        work.answer(outcome);
    }
    ended
}

fn transact(conn: &mut Conn, works: &mut [Box<dyn Work>], stats: &WriterStats) -> QueryResult<()> {
    let mut n_tries = 0;
    loop {
        n_tries += 1;
        let outcome = dialect::write_transaction(conn, |conn| works.iter_mut().try_for_each(|work| work.run(conn)));
        let counter = if outcome.is_ok() { &stats.metrics.commits } else { &stats.metrics.failures };
        counter.inc();
        match outcome {
            Err(error) if n_tries < TRIES && dialect::is_worth_repeating(&error) => {
                tracing::debug!(%error, n_tries, "a transaction met another node's and is run again");
            }
            outcome => return outcome,
        }
    }
}

/// Whether the error comes from one job's data; everything else (locked, full, broken) concerns all.
fn concerns_one(error: &Error) -> bool {
    match error {
        Error::DatabaseError(kind, _) => matches!(
            kind,
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation
        ),
        Error::NotFound | Error::DeserializationError(_) | Error::SerializationError(_) | Error::InvalidCString(_) => {
            true
        }
        _ => false,
    }
}

/// Keeps the order, and joins neighbours of one kind.
fn merge(jobs: Vec<Job>, context: &Arc<WriterContext>) -> Vec<Box<dyn Work>> {
    let mut works: Vec<Box<dyn Work>> = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter().peekable();
    while let Some(job) = jobs.next() {
        match job {
            Job::Alone(work) => works.push(work),
            Job::Enqueue(first) => {
                let context = context.clone();
                let mut run =
                    Merged::new(move |conn, inputs| queries::enqueue::enqueue(conn, &context.row_numbers, inputs));
                run.push(first);
                while let Some(Job::Enqueue(next)) = jobs.next_if(|job| matches!(job, Job::Enqueue(_))) {
                    run.push(next);
                }
                works.push(Box::new(run));
            }
            Job::Finish(first) => {
                let context = context.clone();
                let mut run = Merged::new(move |conn, inputs| queries::finish::finish(conn, &context.codec, inputs));
                run.push(first);
                while let Some(Job::Finish(next)) = jobs.next_if(|job| matches!(job, Job::Finish(_))) {
                    run.push(next);
                }
                works.push(Box::new(run));
            }
        }
    }
    works
}
