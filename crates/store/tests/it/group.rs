//! The one writer: many calls in one commit, and what happens when the file cannot be written.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use hookswitch_hub::{OfflineMessage, OfflineStore as _, UserKey};
use hookswitch_protocol::{EventId, UserId};
use hookswitch_runtime::Clock;
use hookswitch_store::{StoreConfig, StoreError};
use hookswitch_webhooks::{DeliveryLedger as _, Fingerprint, LedgerError, Seen, WebhookDirectory as _};

use crate::rig::{Rig, duty, now, open, tenant, webhook, wish};

#[tokio::test]
async fn concurrent_callers_share_a_commit_and_each_gets_its_own_answer() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let counted = || (store.metrics().writes.get(), store.metrics().commits.get());
    let before = counted();
    let chosen = |n: u32, content: u8| {
        let mut one = duty(&format!("e-{n}"), &[id]);
        one.fingerprint = Some(Fingerprint([content; 32]));
        one
    };
    let answers = join_all((0..100).map(|n| store.enqueue(vec![chosen(n, 0)]))).await;
    assert!(answers.iter().all(|seen| seen.as_ref().is_ok_and(|seen| *seen == [Seen::New])));
    // Now each id twice: once repeated, once with other content and beside another event, which must
    // not be stored either.
    let calls = (0..200_u32).map(|n| match n % 2 {
        0 => store.enqueue(vec![chosen(n / 2, 0)]),
        _ => store.enqueue(vec![duty("beside", &[id]), chosen(n / 2, 1)]),
    });
    for (n, answer) in join_all(calls).await.into_iter().enumerate() {
        let expected = if n % 2 == 0 { vec![Seen::Repeated] } else { vec![Seen::New, Seen::Conflict] };
        assert_eq!(answer.expect("answered"), expected, "caller {n}");
    }
    let after = counted();
    assert_eq!(after.0 - before.0, 300);
    assert!(after.1 - before.1 < 60, "many in one: {after:?}");
    assert_eq!((store.metrics().failures.get(), store.n_waiting()), (0, 0));
    let stored = rig.operator().value("SELECT COUNT(*) AS value FROM webhook_deliveries");
    assert_eq!(stored, "100", "what is new is stored once, and nothing of a batch in conflict");
    opened.close().await;
}

#[tokio::test]
async fn a_locked_file_is_an_error_that_passes() {
    let rig = Rig::new();
    let config = StoreConfig { busy_timeout: Duration::from_millis(50), ..rig.config() };
    let opened = open(config, Clock::system()).await.expect("opens");
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let mut operator = rig.operator();
    operator.run("BEGIN IMMEDIATE");
    let error = store.enqueue(vec![duty("e-1", &[id])]).await.expect_err("locked");
    let LedgerError::Unavailable { source, .. } = &error else { panic!("{error}") };
    let cause = source.source().expect("has a cause").to_string();
    assert!(cause.contains("locked"), "{error}: {source}: {cause}");
    assert_eq!(store.all().await.expect("reading goes on").len(), 1);
    operator.run("ROLLBACK");
    assert_eq!(store.enqueue(vec![duty("e-1", &[id])]).await.expect("open again"), [Seen::New]);
    assert_eq!(store.metrics().failures.get(), 1);
    opened.close().await;
}

#[tokio::test]
async fn a_full_disk_is_an_error_that_passes() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    let mut operator = rig.operator();
    // The statement fails as it would with a full disk, in the middle of the transaction.
    operator.run(
        "CREATE TRIGGER full BEFORE INSERT ON webhook_deliveries
         BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END",
    );
    let calls = (0..20).map(|n| store.enqueue(vec![duty(&format!("e-{n}"), &[id])]));
    assert!(join_all(calls).await.iter().all(Result::is_err), "nobody is told that it is stored");
    assert_eq!(operator.value("SELECT COUNT(*) AS value FROM webhook_events"), "0", "nothing half done");
    operator.run("DROP TRIGGER full");
    assert_eq!(store.enqueue(vec![duty("e-1", &[id])]).await.expect("stored"), [Seen::New]);
    opened.close().await;
}

#[tokio::test]
async fn writing_counts_as_broken_until_something_was_written_again() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    store.check_writing().await.expect("nothing has failed yet");
    let mut operator = rig.operator();
    for table in ["webhook_deliveries", "write_proof"] {
        operator.run(&format!(
            "CREATE TRIGGER full_{table} BEFORE INSERT ON {table}
             BEGIN SELECT RAISE(ROLLBACK, 'database or disk is full'); END"
        ));
    }
    store.check_writing().await.expect("nobody has noticed yet");
    store.enqueue(vec![duty("e-1", &[id])]).await.expect_err("full");
    for _ in 0..3 {
        // This changes nothing, so it works, and is no proof.
        assert!(store.lease(wish(id, 1)).await.expect("nothing waits").is_empty());
        let error = store.check_writing().await.expect_err("still full");
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
    }
    operator.run("DROP TRIGGER full_webhook_deliveries; DROP TRIGGER full_write_proof");
    store.check_writing().await.expect("a write of its own worked");
    store.enqueue(vec![duty("e-1", &[id])]).await.expect("stored");
    opened.close().await;
}

#[tokio::test]
async fn a_full_queue_is_an_error_after_the_wait() {
    let rig = Rig::new();
    let config = StoreConfig {
        queue: 2,
        wait: Duration::from_millis(100),
        busy_timeout: Duration::from_secs(1),
        ..rig.config()
    };
    let opened = open(config, Clock::system()).await.expect("opens");
    let store = &opened.store;
    let mut operator = rig.operator();
    operator.run("BEGIN IMMEDIATE");
    let calls = (0..20).map(|n| store.enqueue(vec![duty(&format!("e-{n}"), &[])]));
    let answers = join_all(calls).await;
    let n_full = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .filter(|error| error.source().is_some_and(|source| source.to_string().contains("queue")))
        .count();
    assert!(n_full > 10, "{n_full} callers were told that the queue is full");
    operator.run("ROLLBACK");
    assert!(store.enqueue(vec![duty("e-1", &[])]).await.is_ok());
    opened.close().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_undo_its_call() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let agent = UserKey { tenant: tenant(), user: UserId::from(7) };
    let message = OfflineMessage {
        user: agent.clone(),
        event_id: EventId::parse("e-1").expect("legal"),
        envelope: Bytes::from_static(b"{}"),
        at: now(),
    };
    let mut put = store.put(vec![message]);
    // Polled once, it is in the queue.
    assert!(futures_util::poll!(&mut put).is_pending());
    drop(put);
    opened.store.enqueue(Vec::new()).await.expect("whoever comes later waits for it");
    assert!(store.may_have(&agent));
    assert_eq!(store.claim(&agent, 9).await.expect("claim").messages.len(), 1);
    opened.close().await;
}

#[tokio::test]
async fn after_its_end_a_store_says_so() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = opened.store.clone();
    let late = store.enqueue(vec![duty("e-1", &[])]);
    let (late, ()) = tokio::join!(late, opened.close());
    assert!(late.is_ok(), "what was queued is served");
    let error = store.enqueue(vec![duty("e-2", &[])]).await.expect_err("stopped");
    let LedgerError::Unavailable { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains("shut down"), "{source}");
    assert_eq!(store.all().await.expect("reading goes on").len(), 0);
}
