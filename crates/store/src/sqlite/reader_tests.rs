//! Reading connections: whose turn it is, and when a read ends.

use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use hookswitch_protocol::TenantId;
use hookswitch_runtime::Sharing;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::connect::Connector;
use super::dialect::Conn;
use super::engine::reader::{Asker, ReadBounds, Readers};
use super::lock::FileLock;
use crate::error::Failure;
use crate::metrics::StoreMetrics;

/// Rows without end: only an interrupt ends this query.
const ENDLESS: &str = "WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows)
    SELECT COUNT(*) AS n FROM rows WHERE ((random() & 127) <> 0 OR hookswitch_in_time())";

const PATIENCE: Duration = Duration::from_secs(15);

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

struct Rig {
    directory: TempDir,
    connector: Connector,
    metrics: StoreMetrics,
    readers: Readers,
}

impl Rig {
    async fn open(limit: Duration) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.db");
        std::fs::write(&path, "").expect("makes the file");
        let lock = FileLock::take(&path, Duration::ZERO).await.expect("locks");
        let connector = Connector::writing(path.to_str().expect("UTF-8"), PATIENCE, lock.into());
        let metrics = StoreMetrics::default();
        let bounds = ReadBounds {
            n_connections: 4,
            sharing: Sharing { alpha: 1, waiting: 2 },
            wait: Duration::from_millis(200),
            limit,
        };
        let readers = Readers::new(connector.reading(false), bounds, metrics.clone());
        Self { directory, connector, metrics, readers }
    }

    async fn no_read_runs(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.readers.n_running() > 0 {
            assert!(Instant::now() < deadline, "reads end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn tenant(name: &str) -> Asker {
    TenantId::parse(name).ok()
}

fn endless(conn: &mut Conn) -> QueryResult<i64> {
    sql_query(ENDLESS).get_result(conn).map(|row: Row| row.n)
}

#[tokio::test]
async fn a_query_whose_time_is_over_ends_and_is_counted() {
    let rig = Rig::open(Duration::from_millis(100)).await;
    let ended = rig.readers.read(&tenant("a"), endless).await.expect_err("it has no end");
    assert!(matches!(ended, Failure::TooLong(_)), "{ended:?}");
    assert_eq!(rig.metrics.reads_ended.get(), 1);
    rig.no_read_runs().await;
    let one = |conn: &mut Conn| sql_query("SELECT 1 AS n").get_result(conn).map(|row: Row| row.n);
    assert_eq!(rig.readers.read(&tenant("a"), one).await.expect("reads"), 1, "the next one has its own time");
}

#[tokio::test]
async fn a_query_ends_when_nobody_waits_for_it_any_more() {
    let rig = Rig::open(Duration::from_hours(1)).await;
    timeout(Duration::from_millis(100), rig.readers.read(&tenant("a"), endless)).await.expect_err("it has no end");
    assert_eq!(rig.readers.n_running(), 1, "it holds its place until it has ended");
    rig.no_read_runs().await;
}

#[tokio::test]
async fn a_place_is_held_until_the_work_has_ended_whatever_became_of_the_caller() {
    let rig = Rig::open(Duration::from_hours(1)).await;
    let (release, held) = mpsc::channel::<()>();
    let work = move |_: &mut Conn| {
        let _released = held.recv();
        Ok(())
    };
    timeout(Duration::from_millis(50), rig.readers.read(&tenant("a"), work)).await.expect_err("it is held up");
    assert_eq!(rig.readers.n_running(), 1);
    drop(release);
    rig.no_read_runs().await;
}

#[tokio::test]
async fn a_tenant_that_reads_without_end_leaves_room_for_others_and_is_refused_beyond_its_share() {
    let rig = Rig::open(Duration::from_hours(1)).await;
    let busy = tenant("busy");
    let mut reads: Vec<_> = (0..8).map(|_| Box::pin(rig.readers.read(&busy, endless))).collect();
    let mut n_refused = 0;
    let all = std::future::poll_fn(|cx| {
        reads.retain_mut(|read| match read.as_mut().poll(cx) {
            std::task::Poll::Ready(Err(Failure::NoReader)) => {
                n_refused += 1;
                false
            }
            std::task::Poll::Ready(other) => panic!("no read of these ends by itself: {other:?}"),
            std::task::Poll::Pending => true,
        });
        if n_refused == 6 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    let one = |conn: &mut Conn| sql_query("SELECT 1 AS n").get_result(conn).map(|row: Row| row.n);
    let neighbour = async {
        let started = Instant::now();
        for _ in 0..100 {
            rig.readers.read(&tenant("quiet"), one).await.expect("there is room");
        }
        started.elapsed()
    };
    let ((), took) = tokio::join!(all, neighbour);
    assert!(took < PATIENCE / 3, "a hundred reads took {took:?}");
    assert_eq!(rig.metrics.reads_refused.get(), 6, "two run; two wait, but not for ever");
    drop(reads);
    rig.no_read_runs().await;
}

#[tokio::test]
async fn a_file_that_was_replaced_is_read_anew_and_one_that_is_gone_is_not_made_again() {
    let rig = Rig::open(PATIENCE).await;
    let path = rig.directory.path().join("x.db");
    let make = |path: &std::path::Path, n: i64| {
        let mut conn = Conn::establish(path.to_str().expect("UTF-8")).expect("opens");
        conn.batch_execute(&format!("CREATE TABLE t (n INTEGER); INSERT INTO t VALUES ({n})")).expect("writes");
    };
    make(&path, 1);
    let all = |conn: &mut Conn| sql_query("SELECT n FROM t").get_result(conn).map(|row: Row| row.n);
    assert_eq!(rig.readers.read(&None, all).await.expect("reads"), 1);
    let mut writer = rig.connector.open().await.expect("opens");
    assert!(rig.connector.is_alive(&mut writer, PATIENCE).await);
    let other = rig.directory.path().join("other.db");
    make(&other, 2);
    std::fs::rename(&other, &path).expect("replaces");
    assert_eq!(rig.readers.read(&None, all).await.expect("reads"), 2, "at once");
    assert!(!rig.connector.is_alive(&mut writer, PATIENCE).await, "nobody would read what it writes");
    std::fs::remove_file(&path).expect("removes");
    rig.readers.read(&None, all).await.expect_err("it is gone");
    rig.connector.open().await.map(drop).expect_err("it is gone");
    assert!(!path.exists());
}
