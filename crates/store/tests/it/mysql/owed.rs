//! Rows of the attempt log that wait for a locked row of their webhook: what follows from them, and the end.

use std::sync::Mutex;
use std::time::Duration;

use hookswitch_protocol::WebhookId;
use hookswitch_testkit::{PATIENCE, eventually};
use hookswitch_webhooks::{
    Attempted, DeliveryLedger as _, DisableReason, DisableRule, Disposition, Finished, WebhookDirectory as _,
};
use tokio::time::{Instant, timeout};

use super::rig::Rig;
use crate::rig::{attempted, duty, tenant, webhook, wish};

/// Somebody has the row locked for so long.
async fn lock(rig: &Rig, id: WebhookId, secs: u32) {
    let locking = format!("BEGIN; UPDATE webhooks SET name = 'x' WHERE id = {id}; SELECT SLEEP({secs}); ROLLBACK;");
    rig.database.sql(&locking).await;
}

async fn is_locked(rig: &Rig) {
    let is_locked = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'";
    eventually("the row is locked", PATIENCE, async || rig.database.sql(is_locked).await == "1").await;
}

/// A webhook with one attempt that was made and is not settled.
async fn made(rig: &Rig) -> (WebhookId, Attempted) {
    let id = rig.store().create(&tenant(), webhook("x")).await.expect("create").id;
    rig.store().enqueue(vec![duty("e", &[id])]).await.expect("enqueue");
    let leased = rig.store().lease(wish(id, 1)).await.expect("lease");
    (id, attempted(&leased[0]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_an_owed_attempt_switches_off_is_told_once() {
    let rig = Rig::start().await;
    let (id, made) = made(&rig).await;
    let gone = Attempted { disposition: Disposition::Gone, ..made };
    let settled = async {
        is_locked(&rig).await;
        let settled = rig.store().finish(vec![gone], DisableRule::default()).await.expect("settled");
        assert_eq!((settled.finished, settled.disabled), (vec![Finished::Recorded], Vec::new()), "not judged yet");
        assert_eq!(rig.store().take_disabled(), []);
    };
    tokio::join!(lock(&rig, id, 2), settled);
    let told = Mutex::new(Vec::new());
    eventually("it is told", PATIENCE, async || {
        let mut told = told.lock().expect("whole");
        told.extend(rig.store().take_disabled());
        !told.is_empty()
    })
    .await;
    let told = told.into_inner().expect("whole");
    assert_eq!((told.len(), told[0].webhook.id, told[0].reason), (1, id, DisableReason::Gone));
    assert!(!rig.store().get(&tenant(), id).await.expect("get").expect("there").is_active);
    assert_eq!(rig.store().take_disabled(), [], "once");
    rig.opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_at_the_end_is_written_as_soon_as_the_row_is_free() {
    let rig = Rig::start().await;
    let (id, made) = made(&rig).await;
    let ended = async {
        is_locked(&rig).await;
        rig.store().finish(vec![made], DisableRule::default()).await.expect("settled");
        assert!(rig.opened.scope.shut_down(PATIENCE).await, "it ends by itself");
    };
    tokio::join!(lock(&rig, id, 3), ended);
    assert_eq!(rig.database.sql("SELECT COUNT(*) FROM webhook_logs").await, "1");
    assert_eq!(rig.store().metrics().unlogged.get(), 0);
    rig.store().enqueue(vec![duty("late", &[id])]).await.expect_err("it is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_locked_until_the_deadline_is_counted_and_holds_the_end_up_no_longer() {
    let rig = Rig::start().await;
    let (id, made) = made(&rig).await;
    let ended = async {
        is_locked(&rig).await;
        rig.store().finish(vec![made], DisableRule::default()).await.expect("settled");
        let began = Instant::now();
        assert!(!rig.opened.scope.shut_down(Duration::from_millis(500)).await, "not all was written");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(rig.store().metrics().unlogged.get(), 1);
    };
    // The operator's client may be killed here: nobody waits for it.
    timeout(PATIENCE, async {
        tokio::select! { () = lock(&rig, id, 30) => (), () = ended => () }
    })
    .await
    .expect("in time");
}
