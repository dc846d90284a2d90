//! What every `DeliveryLedger` promises about expiry, order, health and second chances.

use std::time::Duration;

use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{
    DeliveryTarget, DisableReason, Disposition, LEASE_BYTES, LeaseRequest, LeaseWish, NewDeliveries, OptionsChange,
    OrderedBy, Requeue, Requeued, SkipReason, Sweep, Swept, WebhookChange, WebhookHealth, WebhookSeams,
};

use super::webhook_rig::{DEAD_AFTER, HOLD, Rig, duty, node, tenant};

/// Tries these sentences of the promise.
pub(super) async fn check(open: &impl AsyncFn(Clock) -> WebhookSeams) {
    what_is_too_old_is_skipped(&Rig::open(open).await).await;
    an_ordered_webhook_gets_one_of_a_call_at_a_time(&Rig::open(open).await).await;
    what_is_missed_waits_for_a_requeue(&Rig::open(open).await).await;
    a_requeued_delivery_has_all_its_retries_again(&Rig::open(open).await).await;
    failed_ones_are_requeued_since_a_moment(&Rig::open(open).await).await;
    a_deleted_webhooks_deliveries_are_skipped(&Rig::open(open).await).await;
    health_follows_the_attempts(&Rig::open(open).await).await;
    a_hopeless_webhook_is_disabled_once(&Rig::open(open).await).await;
    gone_disables_at_once(&Rig::open(open).await).await;
    a_living_node_keeps_its_leases(&Rig::open(open).await).await;
}

async fn enqueue(rig: &Rig, id: &str, target: DeliveryTarget) {
    let duty = NewDeliveries { targets: vec![target], ..duty("a", id, &[], rig.clock.now()) };
    rig.seams.ledger.enqueue(vec![duty]).await.expect("enqueue");
}

fn data_of(leased: &[hookswitch_webhooks::LeasedDelivery]) -> Vec<String> {
    let body = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    leased.iter().map(|delivery| body(&delivery.body)).collect()
}

fn data(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| format!("{{\"data\":\"{id}\"}}")).collect()
}

async fn reasons(rig: &Rig, webhook: WebhookId) -> Vec<SkipReason> {
    rig.skips(webhook).await.into_iter().map(|skip| skip.reason).collect()
}

async fn what_is_too_old_is_skipped(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let expires_at = |secs| Some(rig.clock.now().after(Duration::from_secs(secs)));
    enqueue(rig, "short", DeliveryTarget { expires_at: expires_at(1), ..DeliveryTarget::new(webhook) }).await;
    enqueue(rig, "long", DeliveryTarget { expires_at: expires_at(60), ..DeliveryTarget::new(webhook) }).await;
    rig.clock.advance(Duration::from_secs(2));
    let leased = rig.lease(&[(webhook, 1, 0)]).await;
    assert_eq!(data_of(&leased), data(&["long"]), "what expired takes no place of what did not");
    let skips = rig.skips(webhook).await;
    assert_eq!(skips.len(), 1, "one row for the one that expired");
    assert_eq!((skips[0].reason, skips[0].at), (SkipReason::Expired, rig.clock.now()));
    assert!(skips[0].delivery.is_some() && skips[0].event_type.is_some(), "the row says what it was");
    assert_eq!(rig.n_rows(webhook).await, 0, "it is no attempt");
    // The retry of one that was in time can be too late as well.
    rig.finish(&leased[0], Disposition::RetryAt(rig.clock.now())).await;
    rig.clock.advance(Duration::from_mins(1));
    assert_eq!(rig.lease(&[(webhook, 9, 9)]).await.len(), 0);
    assert_eq!(reasons(rig, webhook).await, [SkipReason::Expired, SkipReason::Expired]);
}

async fn order_by_call(rig: &Rig) -> WebhookId {
    let webhook = rig.webhook("a").await.id;
    let options = OptionsChange { ordered_by: Some(Some(OrderedBy::Call)), ..OptionsChange::default() };
    let change = WebhookChange { options, ..WebhookChange::default() };
    rig.seams.directory.update(&tenant("a"), webhook, change).await.expect("update");
    webhook
}

async fn an_ordered_webhook_gets_one_of_a_call_at_a_time(rig: &Rig) {
    let webhook = order_by_call(rig).await;
    for (id, call) in [("a1", Some("a")), ("a2", Some("a")), ("b1", Some("b")), ("free", None), ("a3", Some("a"))] {
        enqueue(rig, id, DeliveryTarget { order_key: call.map(str::to_owned), ..DeliveryTarget::new(webhook) }).await;
        rig.clock.advance(Duration::from_millis(1));
    }
    let first = rig.lease(&[(webhook, 9, 9)]).await;
    assert_eq!(data_of(&first), data(&["a1", "b1", "free"]), "one of each call, and what has none");
    assert_eq!(rig.lease(&[(webhook, 9, 9)]).await.len(), 0, "the rest of the call waits while one runs");
    let again = rig.clock.now().after(Duration::from_secs(2));
    rig.finish(&first[0], Disposition::RetryAt(again)).await;
    assert_eq!(rig.lease(&[(webhook, 9, 9)]).await.len(), 0, "and while one waits for its retry");
    rig.clock.advance(Duration::from_secs(2));
    let retry = rig.lease_one(webhook).await;
    rig.finish(&retry, Disposition::Failed).await;
    assert_eq!(
        data_of(&[rig.lease_one(webhook).await]),
        data(&["a2"]),
        "the end of one, good or bad, lets the next go"
    );
}

async fn what_is_missed_waits_for_a_requeue(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.switch("a", webhook, false).await;
    let missed = || DeliveryTarget { is_missed: true, ..DeliveryTarget::new(webhook) };
    enqueue(rig, "early", missed()).await;
    rig.clock.advance(Duration::from_secs(10));
    let since = rig.clock.now();
    enqueue(rig, "late", missed()).await;
    rig.enqueue("a", &["raced"], &[webhook]).await;
    assert_eq!(rig.lease(&[(webhook, 9, 9)]).await.len(), 0);
    assert_eq!(reasons(rig, webhook).await, [SkipReason::Disabled; 3], "each is a row");
    rig.switch("a", webhook, true).await;
    assert_eq!(rig.lease(&[(webhook, 9, 9)]).await.len(), 0, "nothing comes by itself");
    let requeued = rig.requeue(webhook, Requeue::MissedSince(since)).await;
    assert_eq!(requeued, Requeued { n_due: 2, is_under_way: false });
    let mut leased = rig.lease(&[(webhook, 9, 9)]).await;
    leased.sort_by(|a, b| a.body.cmp(&b.body));
    assert_eq!(data_of(&leased), data(&["late", "raced"]), "missed since then");
    assert_eq!(rig.requeue(webhook, Requeue::MissedSince(since)).await.n_due, 0, "once");
}

async fn a_requeued_delivery_has_all_its_retries_again(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    let first = rig.lease_one(webhook).await;
    rig.finish(&first, Disposition::RetryAt(rig.clock.now())).await;
    let second = rig.lease_one(webhook).await;
    assert_eq!((second.attempt, second.attempts_before), (2, 0));
    let one = || Requeue::One(first.delivery.clone());
    assert_eq!(rig.requeue(webhook, one()).await, Requeued { n_due: 0, is_under_way: true }, "it runs anyway");
    rig.finish(&second, Disposition::Delivered).await;
    let foreign = rig.webhook("b").await.id;
    assert_eq!(rig.requeue(foreign, one()).await, Requeued::default(), "it is not theirs");
    assert_eq!(rig.requeue(webhook, one()).await, Requeued { n_due: 1, is_under_way: false }, "however it ended");
    let third = rig.lease(&[(webhook, 1, 0)]).await.pop().expect("a first attempt of a new round");
    assert_eq!((third.attempt, third.attempts_before), (3, 2), "the numbers go on");
    assert_eq!((&third.delivery, &third.body), (&first.delivery, &first.body), "the same id and body");
    assert_ne!(third.lease.fence, second.lease.fence);
    rig.finish(&third, Disposition::RetryAt(rig.clock.now())).await;
    assert_eq!(rig.lease(&[(webhook, 0, 9)]).await.len(), 1, "then retries");
}

async fn failed_ones_are_requeued_since_a_moment(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let end = async |id: &str, disposition| {
        rig.enqueue("a", &[id], &[webhook]).await;
        let leased = rig.lease_one(webhook).await;
        rig.finish(&leased, disposition).await;
        rig.clock.advance(Duration::from_secs(1));
    };
    end("before", Disposition::Failed).await;
    let since: Timestamp = rig.clock.now();
    end("failed", Disposition::Failed).await;
    end("good", Disposition::Delivered).await;
    end("later", Disposition::Failed).await;
    let asked_at = rig.clock.now();
    let next = async || {
        let requeued = rig.seams.ledger.requeue(webhook, Requeue::FailedSince(since), asked_at, 1).await;
        assert_eq!(requeued.expect("requeue").n_due, 1, "at most so many");
        rig.clock.advance(Duration::from_secs(1));
        let leased = rig.lease(&[(webhook, 9, 0)]).await;
        rig.finish(&leased[0], Disposition::Failed).await;
        data_of(&leased)
    };
    assert_eq!(next().await, data(&["failed"]), "oldest first");
    assert_eq!(next().await, data(&["later"]), "what failed again does not come around again");
    let rest = rig.seams.ledger.requeue(webhook, Requeue::FailedSince(since), asked_at, 9).await;
    assert_eq!(rest.expect("requeue").n_due, 0);
    assert_eq!(rig.requeue(webhook, Requeue::FailedSince(since)).await.n_due, 2, "asked again, it does");
}

async fn a_deleted_webhooks_deliveries_are_skipped(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x", "y"], &[webhook]).await;
    rig.seams.directory.delete(&tenant("a"), webhook).await.expect("delete");
    assert_eq!(rig.lease(&[(webhook, 9, 9)]).await.len(), 0);
    assert_eq!(reasons(rig, webhook).await, [SkipReason::Deleted; 2]);
}

async fn health_follows_the_attempts(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x", "y", "z"], &[webhook]).await;
    let leased = rig.lease(&[(webhook, 9, 0)]).await;
    let start = rig.clock.now();
    rig.finish(&leased[0], Disposition::Failed).await;
    rig.finish(&leased[0], Disposition::Failed).await;
    rig.clock.advance(Duration::from_secs(5));
    rig.finish(&leased[1], Disposition::Failed).await;
    let found = rig.get("a", webhook).await;
    let wanted = WebhookHealth { failing_since: Some(start), n_failures: 2, disabled: None };
    assert_eq!((found.health, found.last_triggered_at), (wanted, Some(rig.clock.now())));
    rig.clock.advance(Duration::from_secs(5));
    rig.finish(&leased[2], Disposition::Delivered).await;
    assert_eq!(rig.get("a", webhook).await.health, WebhookHealth::default(), "one success and all is well");
}

async fn a_hopeless_webhook_is_disabled_once(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["1", "2", "3", "4", "5"], &[webhook]).await;
    let leased = rig.lease(&[(webhook, 9, 0)]).await;
    for delivery in &leased[..3] {
        rig.finish(delivery, Disposition::Failed).await;
    }
    assert!(rig.get("a", webhook).await.is_active, "it has not been failing for long");
    rig.clock.advance(Duration::from_mins(1));
    let settled = rig.settle(vec![rig.attempted(&leased[3], Disposition::Failed)]).await;
    assert_eq!(settled.disabled.len(), 1, "told in the answer to the call that did it");
    let found = rig.get("a", webhook).await;
    assert_eq!((settled.disabled[0].reason, &settled.disabled[0].webhook), (DisableReason::Failing, &found));
    assert!(!found.is_active && found.health.disabled.is_some_and(|d| d.reason == DisableReason::Failing));
    let settled = rig.settle(vec![rig.attempted(&leased[4], Disposition::Failed)]).await;
    assert_eq!(settled.disabled, [], "once");
}

async fn gone_disables_at_once(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    let leased = rig.lease_one(webhook).await;
    let settled = rig.settle(vec![rig.attempted(&leased, Disposition::Gone)]).await;
    assert_eq!(settled.disabled.iter().map(|d| d.reason).collect::<Vec<_>>(), [DisableReason::Gone]);
    assert!(!rig.get("a", webhook).await.is_active);
    assert_eq!(rig.requeue(webhook, Requeue::FailedSince(Timestamp::from_millis(0))).await.n_due, 1, "it failed");
}

async fn a_living_node_keeps_its_leases(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    assert_eq!(rig.sweep().await.n_nodes, 1, "this one lives");
    rig.lease_one(webhook).await;
    let mut waited = Duration::ZERO;
    while waited + DEAD_AFTER < HOLD {
        rig.clock.advance(DEAD_AFTER / 2);
        waited += DEAD_AFTER / 2;
        assert_eq!(rig.sweep().await.n_leases, 0, "it says so again and again");
    }
}

/// For keepers that several nodes share: what a node holds that has fallen silent goes to others, and
/// what one holds that lives does not, whatever its clock says.
///
/// # Panics
/// When it does not.
pub async fn check_takeover(open: impl AsyncFn(Clock) -> WebhookSeams) {
    what_the_dead_hold_goes_to_others(&Rig::open(&open).await).await;
    a_wrong_clock_is_no_death(&Rig::open(&open).await).await;
}

async fn a_wrong_clock_is_no_death(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    let slow_now = || rig.clock.now().before(HOLD * 2);
    let sweep = async |by: &str, now: Timestamp| {
        let sweep = Sweep { by: node(by), now, dead_after: DEAD_AFTER };
        rig.seams.ledger.sweep(sweep).await.expect("sweep")
    };
    sweep("slow", slow_now()).await;
    sweep("right", rig.clock.now()).await;
    rig.clock.advance(DEAD_AFTER / 4);
    sweep("slow", slow_now()).await;
    sweep("right", rig.clock.now()).await;
    let wishes = vec![LeaseWish { webhook, fresh: 1, retries: 0 }];
    let request =
        LeaseRequest { by: node("slow"), now: rig.clock.now(), hold: Duration::ZERO, n_bytes: LEASE_BYTES, wishes };
    assert_eq!(rig.seams.ledger.lease(request).await.expect("lease").len(), 1);
    for _ in 0..10 {
        rig.clock.advance(DEAD_AFTER / 4);
        assert_eq!(sweep("right", rig.clock.now()).await, Swept { n_leases: 0, n_nodes: 2 }, "its lease is its own");
        assert_eq!(sweep("slow", slow_now()).await, Swept { n_leases: 0, n_nodes: 2 });
    }
    rig.clock.advance(DEAD_AFTER + Duration::from_secs(1));
    sweep("right", rig.clock.now()).await;
    rig.clock.advance(DEAD_AFTER);
    assert_eq!(sweep("right", rig.clock.now()).await.n_nodes, 2, "it was silent itself, and judges nobody at first");
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(sweep("right", rig.clock.now()).await, Swept { n_leases: 1, n_nodes: 1 });
}

async fn what_the_dead_hold_goes_to_others(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["mine", "theirs"], &[webhook]).await;
    let sweep = async |by: &str| {
        let sweep = Sweep { by: node(by), now: rig.clock.now(), dead_after: DEAD_AFTER };
        rig.seams.ledger.sweep(sweep).await.expect("sweep")
    };
    let lease = async |by: &str| {
        let wishes = vec![LeaseWish { webhook, fresh: 1, retries: 0 }];
        let request = LeaseRequest { by: node(by), now: rig.clock.now(), hold: HOLD, n_bytes: LEASE_BYTES, wishes };
        rig.seams.ledger.lease(request).await.expect("lease")
    };
    sweep("node-1").await;
    assert_eq!(sweep("node-2").await.n_nodes, 2, "two live");
    assert_eq!(sweep("node-1").await.n_nodes, 2, "and know of each other");
    assert_eq!((lease("node-1").await.len(), lease("node-2").await.len()), (1, 1));
    rig.clock.advance(DEAD_AFTER.saturating_sub(Duration::from_secs(1)));
    let swept = sweep("node-1").await;
    assert_eq!((swept.n_leases, swept.n_nodes), (0, 2), "silent, but not for long enough");
    rig.clock.advance(Duration::from_secs(2));
    let swept = sweep("node-1").await;
    assert_eq!((swept.n_leases, swept.n_nodes), (1, 1), "the dead node's lease is given back, long before it runs out");
    assert_eq!(lease("node-1").await.len(), 1);
    assert_eq!(rig.seams.ledger.reclaim(&node("node-2")).await.expect("reclaim"), 0, "it holds nothing any more");
}
