//! One group: merge neighbours, one transaction, one commit, everybody answered.

use std::sync::atomic::Ordering;

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};

use super::Tally;
use super::job::{Job, Merged, Work};
use crate::dialect::{self, Conn};
use crate::error::Failure;
use crate::queries;

/// Runs the group and answers its callers. An error means that the connection is not to be used again.
pub(crate) fn run(conn: &mut Conn, jobs: Vec<Job>, tally: &Tally) -> Result<(), Failure> {
    tally.jobs.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    let mut works = merge(jobs);
    match transact(conn, &mut works, tally) {
        Ok(()) => {
            for work in works {
                work.answer(Ok(()));
            }
            Ok(())
        }
        Err(error) if works.len() > 1 && concerns_one(&error) => one_by_one(conn, works, tally),
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
fn one_by_one(conn: &mut Conn, works: Vec<Box<dyn Work>>, tally: &Tally) -> Result<(), Failure> {
    let mut ended = Ok(());
    for mut work in works {
        let outcome = transact(conn, std::slice::from_mut(&mut work), tally).map_err(|error| {
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

fn transact(conn: &mut Conn, works: &mut [Box<dyn Work>], tally: &Tally) -> QueryResult<()> {
    let outcome = dialect::write_transaction(conn, |conn| works.iter_mut().try_for_each(|work| work.run(conn)));
    let counter = if outcome.is_ok() { &tally.commits } else { &tally.failures };
    counter.fetch_add(1, Ordering::Relaxed);
    outcome
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
fn merge(jobs: Vec<Job>) -> Vec<Box<dyn Work>> {
    let mut works: Vec<Box<dyn Work>> = Vec::with_capacity(jobs.len());
    let mut jobs = jobs.into_iter().peekable();
    while let Some(job) = jobs.next() {
        match job {
            Job::Alone(work) => works.push(work),
            Job::Enqueue(first) => {
                let mut run = Merged::new(queries::enqueue::enqueue);
                run.push(first);
                while let Some(Job::Enqueue(next)) = jobs.next_if(|job| matches!(job, Job::Enqueue(_))) {
                    run.push(next);
                }
                works.push(Box::new(run));
            }
            Job::Finish(first) => {
                let mut run = Merged::new(queries::finish::finish);
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

#[cfg(test)]
mod tests {
    use diesel::connection::{Connection as _, SimpleConnection as _};
    use diesel::{QueryableByName, RunQueryDsl as _, sql_query, sql_types};
    use tokio::sync::oneshot;

    use super::*;

    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::BigInt)]
        n: i64,
    }

    fn insert(value: &'static str) -> (Job, oneshot::Receiver<Result<(), Failure>>) {
        let (reply, answer) = oneshot::channel();
        let work = move |conn: &mut Conn| conn.batch_execute(&format!("INSERT INTO t VALUES ({value})"));
        (Job::one(work, |()| (), reply), answer)
    }

    #[test]
    fn a_job_that_spoils_the_transaction_fails_alone() {
        let mut conn = Conn::establish(":memory:").expect("opens");
        conn.batch_execute("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT").expect("creates");
        let (jobs, mut answers): (Vec<_>, Vec<_>) = ["1", "2", "1", "3"].into_iter().map(insert).unzip();
        let tally = Tally::default();
        run(&mut conn, jobs, &tally).expect("the connection is good");
        let answers: Vec<bool> = answers.iter_mut().map(|a| a.try_recv().expect("answered").is_ok()).collect();
        assert_eq!(answers, [true, true, false, true]);
        let rows: Vec<Row> = sql_query("SELECT n FROM t ORDER BY n").load(&mut conn).expect("lists");
        assert_eq!(rows.iter().map(|row| row.n).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn an_error_that_concerns_all_fails_all_and_changes_nothing() {
        let mut conn = Conn::establish(":memory:").expect("opens");
        conn.batch_execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").expect("creates");
        let (jobs, mut answers): (Vec<_>, Vec<_>) = ["1", "no_such_column"].into_iter().map(insert).unzip();
        run(&mut conn, jobs, &Tally::default()).expect_err("the connection is to be made anew");
        assert!(answers.iter_mut().all(|a| a.try_recv().expect("answered").is_err()));
        let rows: Vec<Row> = sql_query("SELECT n FROM t").load(&mut conn).expect("lists");
        assert!(rows.is_empty());
    }
}
