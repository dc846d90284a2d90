//! A writer's group, on a database in memory.

use std::sync::Arc;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::{QueryableByName, RunQueryDsl as _, sql_query, sql_types};
use tokio::sync::oneshot;

use super::connect::Connector;
use super::dialect::{Conn, RowNumbers};
use super::engine::writer::{Job, WriterContext, WriterStats, group::run};
use crate::error::Failure;
use crate::secret_keys::SecretKeys;
use crate::webhook_columns::WebhookColumns;

fn context() -> Arc<WriterContext> {
    let columns = Arc::new(WebhookColumns::new(SecretKeys::default()));
    Arc::new(WriterContext { columns, row_numbers: RowNumbers })
}

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
    let (jobs, mut answers): (Vec<_>, Vec<_>) = ["1", "2", "1", "3", "2", "4"].into_iter().map(insert).unzip();
    let stats = WriterStats::default();
    run(&mut conn, &Connector::nowhere(), jobs, &context(), &stats).expect("the connection is good");
    let answers: Vec<bool> = answers.iter_mut().map(|a| a.try_recv().expect("answered").is_ok()).collect();
    assert_eq!(answers, [true, true, false, true, false, true]);
    let rows: Vec<Row> = sql_query("SELECT n FROM t ORDER BY n").load(&mut conn).expect("lists");
    assert_eq!(rows.iter().map(|row| row.n).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn an_error_that_concerns_all_fails_all_and_changes_nothing() {
    let mut conn = Conn::establish(":memory:").expect("opens");
    conn.batch_execute("CREATE TABLE t (n INTEGER PRIMARY KEY)").expect("creates");
    let (jobs, mut answers): (Vec<_>, Vec<_>) = ["1", "no_such_column"].into_iter().map(insert).unzip();
    run(&mut conn, &Connector::nowhere(), jobs, &context(), &WriterStats::default())
        .expect_err("the connection is to be made anew");
    assert!(answers.iter_mut().all(|a| a.try_recv().expect("answered").is_err()));
    let rows: Vec<Row> = sql_query("SELECT n FROM t").load(&mut conn).expect("lists");
    assert!(rows.is_empty());
}
