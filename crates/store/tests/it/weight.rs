//! What one caller's weight costs the others, and what must not be sent costs nobody.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt as _, future};
use hookswitch_protocol::{Secret, TenantId, WebhookId};
use hookswitch_testkit::{PATIENCE, eventually};
use hookswitch_webhooks::{
    Attempted, DeliveryLedger as _, DisableRule, Disposition, Finished, NewDeliveries, NewWebhook, Retention,
    WebhookDirectory as _,
};
use tokio::time::Instant;

use crate::rig::{Rig, attempted, duty, now, tenant, webhook, wish};

/// An event of the neighbour, for one webhook.
fn neighbours(id: &str) -> NewDeliveries {
    NewDeliveries { tenant: TenantId::parse("neighbour").expect("legal"), ..duty(id, &[WebhookId(1)]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_waits_for_one_heavy_transaction_at_most() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = opened.store.clone();
    let webhooks: Vec<WebhookId> = (1..=400).map(WebhookId).collect();
    store.enqueue(vec![neighbours("first")]).await.expect("enqueue");
    let mut heavy: FuturesUnordered<_> =
        (0..40).map(|n| store.enqueue(vec![duty(&format!("heavy-{n}"), &webhooks)])).collect();
    // Whatever is polled here is in the queue before the neighbour comes.
    assert!(futures_util::poll!(heavy.next()).is_pending());
    let started = Instant::now();
    let light = store.enqueue(vec![neighbours("light")]);
    tokio::pin!(light);
    let mut n_heavy = 0;
    loop {
        match future::select(&mut light, heavy.next()).await {
            future::Either::Left((answer, _)) => {
                answer.expect("stored");
                break;
            }
            future::Either::Right((answer, _)) => {
                answer.expect("the neighbour comes first").expect("stored");
                n_heavy += 1;
            }
        }
    }
    assert!(n_heavy <= 4, "it waited for {n_heavy} of 40 heavy transactions, {:?}", started.elapsed());
    while let Some(answer) = heavy.next().await {
        answer.expect("stored");
    }
    let stored = rig.operator().value("SELECT COUNT(*) AS value FROM webhook_deliveries");
    assert_eq!(stored, (40 * 400 + 2).to_string());
    opened.close().await;
}

/// Deliveries of one webhook that are too late, made in the database.
fn late(id: WebhookId, n: usize) -> String {
    format!(
        "INSERT INTO webhook_events (id, tenant_id, event_id, event_type, body, accepted_at)
         VALUES (1, 'tenant-123', 'old', 'call.incoming', '{{}}', 1);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
         INSERT INTO webhook_deliveries (delivery_id, webhook_id, tenant_id, event_row, state, due_at, expires_at, created_at)
         SELECT 'late-' || i, {id}, 'tenant-123', 1, 'due', i, 5, i FROM n;"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_late_is_not_in_the_way_and_is_ended_beside() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    rig.operator().run(&late(id, 20_000));
    store.enqueue(vec![duty("new", &[id])]).await.expect("enqueue");
    let leased = store.lease(wish(id, 10)).await.expect("lease");
    assert_eq!(leased.len(), 1, "the first call hands the new one out");
    let left = "SELECT COUNT(*) AS value FROM webhook_deliveries WHERE state = 'due'";
    eventually("the late ones are ended", PATIENCE, async || rig.operator().value(left) == "0").await;
    let skips = "SELECT COUNT(*) AS value FROM webhook_skips WHERE reason = 'expired'";
    assert_eq!(rig.operator().value(skips), "20000", "each with its row");
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backlog_of_a_deleted_webhook_is_ended_beside() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let id = store.create(&tenant(), webhook("x")).await.expect("create").id;
    rig.operator().run(&late(id, 5_000));
    rig.operator().run("UPDATE webhook_deliveries SET expires_at = NULL");
    assert!(store.delete(&tenant(), id).await.expect("delete"));
    let ended = "SELECT COUNT(*) AS value FROM webhook_deliveries WHERE state = 'cancelled'";
    eventually("all are cancelled", PATIENCE, async || rig.operator().value(ended) == "5000").await;
    opened.close().await;
}

#[tokio::test]
async fn a_deleted_webhook_keeps_no_secret_and_goes_with_its_log() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let new = NewWebhook { secret: Some(Secret::new("hush")), ..webhook("x") };
    let id = store.create(&tenant(), new).await.expect("create").id;
    store.rotate_secret(&tenant(), id, Secret::new("hush-2"), now()).await.expect("rotate");
    rig.operator().run(r#"UPDATE webhooks SET options = '{"headers": [{"name": "X-Key", "value": "hush-3"}]}'"#);
    store.enqueue(vec![duty("e", &[id])]).await.expect("enqueue");
    let kept = "SELECT COALESCE(secret, '') || COALESCE(secret_sealed, '') || COALESCE(previous_secret, '')
                || COALESCE(previous_secret_sealed, '') || COALESCE(options, '') AS value FROM webhooks";
    assert!(rig.operator().value(kept).contains("hush-3"));
    store.delete(&tenant(), id).await.expect("delete");
    assert_eq!(rig.operator().value(kept), "", "gone at once");
    // One that an operator deleted by hand.
    rig.operator().run(
        "INSERT INTO webhooks (tenant_id, name, url, events, secret, deleted_at)
         VALUES ('tenant-123', 'by hand', 'https://x', '[]', 'hush-4', '2999-01-01 00:00:00')",
    );
    let purge = async |ended| {
        let retention = Retention { now: now().after(Duration::from_hours(1)), ended, limit: 500 };
        while store.purge(retention).await.expect("purge") > 0 {}
    };
    purge(Duration::from_hours(24)).await;
    assert_eq!(rig.operator().values(kept), ["", ""]);
    let rows = || rig.operator().values("SELECT name AS value FROM webhooks ORDER BY id");
    assert_eq!(rows(), ["x", "by hand"], "the rows stay as long as the log");
    rig.operator().run(&format!(
        "INSERT INTO webhook_logs (webhook_id, event, payload, created_at) VALUES ({id}, 'a', '{{}}', '2998-01-01 00:00:00')"
    ));
    purge(Duration::ZERO).await;
    assert_eq!(rows(), ["x", "by hand"], "a row of the log refers to it still");
    rig.operator().run("DELETE FROM webhook_logs");
    purge(Duration::ZERO).await;
    assert_eq!(rows(), ["by hand"], "gone; the other one's time has not come");
    opened.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_before_a_failure_is_told_and_the_rest_is_tried_by_itself() {
    let rig = Rig::new();
    let opened = rig.open().await;
    let store = &opened.store;
    let gone = store.create(&tenant(), webhook("gone")).await.expect("create").id;
    let held = store.create(&tenant(), webhook("held")).await.expect("create").id;
    store.enqueue(vec![duty("e", &[gone, held])]).await.expect("enqueue");
    let leased = [store.lease(wish(gone, 1)).await.expect("lease"), store.lease(wish(held, 1)).await.expect("lease")];
    let mut attempts: Vec<Attempted> = leased.iter().flatten().map(attempted).collect();
    attempts[0].disposition = Disposition::Gone;
    // Two transactions, for they are too heavy for one.
    for attempted in &mut attempts {
        attempted.row.body = Bytes::from(format!("\"{}\"", "y".repeat(700_000)));
    }
    rig.operator().run(&format!(
        "CREATE TRIGGER held BEFORE INSERT ON webhook_logs WHEN NEW.webhook_id = {held}
         BEGIN SELECT RAISE(ABORT, 'not now'); END"
    ));
    let rest = attempts.split_off(1);
    let rule = DisableRule::default();
    let settled = store.finish([attempts, rest.clone()].concat(), rule).await.expect("the first is settled");
    assert_eq!(settled.finished, [Finished::Recorded]);
    assert_eq!(settled.disabled.len(), 1, "and whom to tell is not lost");
    store.finish(rest.clone(), rule).await.expect_err("the rest is not");
    rig.operator().run("DROP TRIGGER held");
    assert_eq!(store.finish(rest, rule).await.expect("settled").finished, [Finished::Recorded]);
    assert_eq!(rig.operator().value("SELECT COUNT(*) AS value FROM webhook_logs"), "2");
    opened.close().await;
}
