//! One group: merge neighbours, one transaction, one commit, everybody answered.

use std::sync::Arc;

use diesel::result::{DatabaseErrorKind, Error};

use super::context::WriterContext;
use super::dialect::{self, Conn};
use super::job::{Job, Merged, Work};
use super::stats::WriterStats;
use super::{Connector, queries};
use crate::error::Failure;

/// How often one caller's transaction is run that meets those of other nodes.
const TRIES: u32 = 8;

/// How often one of many callers is: then those who are not to blame go on without the others.
const TRIES_TOGETHER: u32 = 2;

/// Runs the group and answers its callers. An error means that the connection is not to be used again.
pub(crate) fn run(
    conn: &mut Conn,
    connector: &Connector,
    jobs: Vec<Job>,
    context: &Arc<WriterContext>,
    stats: &WriterStats,
) -> Result<(), Failure> {
    stats.metrics.writes.inc_by(jobs.len() as u64);
    let mut group = Group { conn, connector, stats, broken: None };
    group.settle(merge(jobs, context));
    group.broken.map_or(Ok(()), Err)
}

/// Whether the error comes from one caller's data, so that others and smaller calls may pass.
pub(crate) fn is_about_data(failure: &Failure) -> bool {
    let Failure::Database(error) = failure else { return false };
    concerns_one(error) || (dialect::may_concern_one(error) && !dialect::is_worth_repeating(error))
}

/// Whether a row stayed locked by somebody else.
pub(crate) fn is_about_lock(failure: &Failure) -> bool {
    matches!(failure, Failure::Database(error) if dialect::is_lock_wait(error))
}

struct Group<'a> {
    conn: &'a mut Conn,
    connector: &'a Connector,
    stats: &'a WriterStats,
    /// Why the connection is not to be used again.
    broken: Option<Failure>,
}

impl Group<'_> {
    /// One transaction for all; where one of them spoils it, the others have theirs without it.
    fn settle(&mut self, mut works: Vec<Box<dyn Work>>) {
        if let Some(failure) = self.broken.clone() {
            return answer(works, &Err(failure));
        }
        let n_callers: usize = works.iter().map(|work| work.n_callers()).sum();
        let Err((culprit, error)) = self.transact(&mut works, n_callers) else {
            return answer(works, &Ok(()));
        };
        let may_be_one =
            concerns_one(&error) || dialect::may_concern_one(&error) || dialect::is_worth_repeating(&error);
        if may_be_one && n_callers > 1 {
            tracing::debug!(%error, n_callers, "a transaction failed and is cut");
            return halves(works, culprit).into_iter().for_each(|some| self.settle(some));
        }
        let failure = Failure::from(error);
        if !may_be_one {
            self.broken = Some(failure.clone());
        }
        answer(works, &Err(failure));
    }

    /// Gives the work that failed, where it was one, and how.
    fn transact(&mut self, works: &mut [Box<dyn Work>], n_callers: usize) -> Result<(), (Option<usize>, Error)> {
        let mut n_tries = 0;
        let most = if n_callers > 1 { TRIES_TOGETHER } else { TRIES };
        loop {
            n_tries += 1;
            self.connector.begin(self.conn);
            let mut at = None;
            let outcome = dialect::write_transaction(self.conn, |conn| {
                for (index, work) in works.iter_mut().enumerate() {
                    at = Some(index);
                    work.run(conn)?;
                }
                at = None;
                Ok(())
            });
            let metrics = &self.stats.metrics;
            let Err(error) = outcome else {
                metrics.commits.inc();
                return Ok(());
            };
            metrics.failures.inc();
            // Each wait for a lock takes a second, during which nobody else is served: once is enough.
            let is_over = n_tries >= most || dialect::is_lock_wait(&error);
            if is_over || !dialect::is_worth_repeating(&error) {
                return Err((at, error));
            }
            tracing::debug!(%error, n_tries, "a transaction met another node's and is run again");
        }
    }
}

fn answer(works: Vec<Box<dyn Work>>, outcome: &Result<(), Failure>) {
    for work in works {
        work.answer(outcome.clone());
    }
}

/// Those who are not to blame first, then the one that failed, by itself or in its own halves.
fn halves(mut works: Vec<Box<dyn Work>>, culprit: Option<usize>) -> Vec<Vec<Box<dyn Work>>> {
    let Some(culprit) = culprit else {
        let rest = works.split_off(works.len() / 2);
        if works.is_empty() {
            return rest.into_iter().flat_map(Work::split).map(|work| vec![work]).collect();
        }
        return vec![works, rest];
    };
    let failed = works.remove(culprit);
    let mut groups = if works.is_empty() { Vec::new() } else { vec![works] };
    groups.extend(failed.split().into_iter().map(|work| vec![work]));
    groups
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
                let mut run = Merged::new(move |conn, inputs| queries::finish::finish(conn, &context.columns, inputs));
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
