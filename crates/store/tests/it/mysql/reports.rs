//! Reports on a server: ended there, found by an index, and read from the server that is written to.

use std::time::Duration;

use hookswitch_protocol::{EventType, Timestamp};
use hookswitch_runtime::Clock;
use hookswitch_store::MySqlConfig;
use hookswitch_testkit::{MariaDb, PATIENCE, eventually};
use hookswitch_webhooks::{
    AttemptLog as _, Cursor, DirectoryError, LogFilter, Page, SkipReason, SkipRow, WebhookDirectory as _,
};
use tokio::time::{Instant, timeout};

use super::rig::{Rig, config, open};
use crate::rig::{now, tenant, webhook};

/// Statements of ours that the server works on or waits with.
const RUNNING: &str = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'hub' AND command <> 'Sleep'
    AND info LIKE '%webhook_logs%'";

/// Waits until nobody reads or writes the log, and lets nobody for so long.
async fn hold_log(database: &MariaDb, secs: u64) {
    database.sql(&format!("LOCK TABLES webhook_logs WRITE; SELECT SLEEP({secs})")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_takes_too_long_is_ended_at_the_server_and_says_so() {
    let rig = Rig::start().await;
    let impatient = MySqlConfig { report_limit: Duration::from_millis(500), ..config(&rig.database) };
    let opened = open(impatient, Clock::system()).await.expect("opens");
    let id = opened.store.create(&tenant(), webhook("x")).await.expect("create").id;
    let (owner, filter) = (tenant(), LogFilter::default());
    let holding = hold_log(&rig.database, 6);
    let asking = async {
        eventually("the log is held", PATIENCE, async || {
            rig.database
                .sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'")
                .await
                == "1"
        })
        .await;
        let started = Instant::now();
        let told = opened.store.entries(&owner, id, &filter, Page::first(5)).await.expect_err("it is held up");
        assert!(matches!(told, DirectoryError::TooLong { .. }), "{told:?}");
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        eventually("nothing runs on", Duration::from_secs(3), async || rig.database.sql(RUNNING).await == "0").await;
        // One that nobody waits for holds its place until the server has ended it.
        timeout(Duration::from_millis(100), opened.store.stats(&owner, id, now())).await.expect_err("it is held up");
        eventually("nothing runs on", Duration::from_secs(3), async || rig.database.sql(RUNNING).await == "0").await;
    };
    tokio::join!(holding, asking);
    assert_eq!(opened.store.metrics().reads_ended.get(), 1);
    opened.store.entries(&owner, id, &filter, Page::first(5)).await.expect("the next one is answered");
    opened.close().await;
    rig.opened.close().await;
}

#[tokio::test]
async fn readers_follow_a_writer_that_had_to_log_in_anew() {
    let rig = Rig::start().await;
    let store = rig.store();
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    store.get(&tenant(), id).await.expect("get");
    let ours = "SELECT id FROM information_schema.processlist WHERE user = 'hub' ORDER BY id";
    let n_connections = async || rig.database.sql(ours).await.lines().count();
    eventually("two writers and a reader", PATIENCE, async || n_connections().await == 3).await;
    let before = rig.database.sql(ours).await;
    // The first two are the writers': whatever makes them log in anew, the name may lead elsewhere now.
    for writer in before.lines().take(2) {
        rig.database.sql(&format!("KILL {writer}")).await;
    }
    eventually("a writer is back", PATIENCE, async || store.create(&tenant(), webhook("y")).await.is_ok()).await;
    store.get(&tenant(), id).await.expect("get");
    let reader = before.lines().nth(2).expect("there is a reader");
    eventually("the old reader is gone", PATIENCE, async || {
        !rig.database.sql(ours).await.lines().any(|line| line == reader)
    })
    .await;
    rig.opened.close().await;
}

#[tokio::test]
async fn filters_walk_an_index_and_cursors_begin_in_it() {
    let rig = Rig::start().await;
    let (store, owner) = (rig.store(), tenant());
    let id = store.create(&owner, webhook("x")).await.expect("create").id;
    rig.database
        .sql(&format!(
            "INSERT INTO webhook_logs (webhook_id, event, payload, response_code, created_at)
             SELECT {id}, 'call.incoming', '{{}}', 200, FROM_UNIXTIME(1700000000 + seq) FROM seq_1_to_50000;
             ANALYZE TABLE webhook_logs;
             SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON"
        ))
        .await;
    let never = LogFilter { event_type: Some(EventType::ALERT), with_skips: true, ..LogFilter::default() };
    assert_eq!(store.entries(&owner, id, &never, Page::first(50)).await.expect("entries").total, 0);
    let after = Some(Cursor::Attempt { at: Timestamp::from_millis(1_700_000_100_000), id: 100 });
    let listed = store.entries(&owner, id, &LogFilter::default(), Page { after, ..Page::first(50) }).await;
    assert_eq!(listed.expect("entries").rows.len(), 50);
    rig.database.sql("SET GLOBAL general_log = OFF").await;
    let said = rig
        .database
        .sql("SELECT REPLACE(argument, '\\n', ' ') FROM mysql.general_log
              WHERE command_type = 'Execute' AND user_host LIKE 'hub%' AND argument LIKE '%ORDER BY%' ORDER BY event_time")
        .await;
    let mut keys = Vec::new();
    for statement in said.lines().filter(|line| line.contains("created_at` DESC")) {
        let plan = rig.database.sql(&format!("EXPLAIN {statement}")).await;
        let columns: Vec<&str> = plan.lines().next().expect("a step").split('\t').collect();
        let n_rows: u64 = columns[8].parse().expect("a number");
        assert!(n_rows < 1_000, "{statement}\n{plan}");
        keys.push(columns[5].to_owned());
    }
    assert_eq!(keys, ["webhook_logs_by_event", "webhook_skips_by_event", "webhook_logs_by_webhook"], "{said}");
    let skip = SkipRow { webhook: id, delivery: None, event_type: None, reason: SkipReason::Deleted, at: now() };
    store.append_skip(skip).await.expect("append");
    rig.opened.close().await;
}
