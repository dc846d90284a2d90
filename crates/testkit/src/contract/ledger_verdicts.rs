//! What every `DeliveryLedger` promises about verdicts: whom they are about, and when they count.

use std::time::Duration;

use hookswitch_protocol::WebhookId;
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{
    Attempted, DisableReason, Disposition, Finished, LeasedDelivery, WebhookChange, WebhookHealth, WebhookSeams,
};

use super::webhook_rig::{Rig, tenant};

/// Tries these sentences of the promise.
pub(super) async fn check(open: &impl AsyncFn(Clock) -> WebhookSeams) {
    a_410_of_the_former_url_switches_nothing_off(&Rig::open(open).await).await;
    another_url_starts_without_failures(&Rig::open(open).await).await;
    what_was_sent_before_switching_on_does_not_count(&Rig::open(open).await).await;
    a_fault_of_ours_counts_against_nobody(&Rig::open(open).await).await;
    what_is_postponed_is_a_row_and_due_again_with_all_its_retries(&Rig::open(open).await).await;
}

async fn leased(rig: &Rig, webhook: WebhookId, id: &str) -> LeasedDelivery {
    rig.enqueue("a", &[id], &[webhook]).await;
    rig.lease_one(webhook).await
}

async fn change(rig: &Rig, webhook: WebhookId, change: WebhookChange) {
    let changed = rig.seams.directory.update(&tenant("a"), webhook, change).await.expect("update");
    assert!(changed.is_some(), "it is theirs");
}

fn url(url: &str) -> WebhookChange {
    WebhookChange { url: Some(url.to_owned()), ..WebhookChange::default() }
}

async fn a_410_of_the_former_url_switches_nothing_off(rig: &Rig) {
    let webhook = rig.webhook("a").await;
    let old = leased(rig, webhook.id, "x").await;
    change(rig, webhook.id, url("https://example.org/new")).await;
    let settled = rig.settle(vec![rig.attempted(&old, Disposition::Gone)]).await;
    assert_eq!((settled.finished, settled.disabled.len()), (vec![Finished::Recorded], 0), "made, and about another");
    let now = rig.get("a", webhook.id).await;
    assert!(now.is_active && now.health == WebhookHealth::default(), "{:?}", now.health);
    assert_eq!(now.last_triggered_at, Some(rig.clock.now()), "it was an attempt all the same");
    // There and back again, it is not the receiver of before either.
    change(rig, webhook.id, url(&webhook.url)).await;
    let late = leased(rig, webhook.id, "y").await;
    let settled = rig.settle(vec![Attempted { judged: Some(old.webhook), ..rig.attempted(&late, Disposition::Gone) }]);
    assert_eq!(settled.await.disabled.len(), 0, "a former version of the same URL");
    let new = leased(rig, webhook.id, "z").await;
    let settled = rig.settle(vec![rig.attempted(&new, Disposition::Gone)]).await;
    assert_eq!(settled.disabled.iter().map(|d| d.reason).collect::<Vec<_>>(), [DisableReason::Gone], "its own counts");
}

async fn another_url_starts_without_failures(rig: &Rig) {
    let webhook = rig.webhook("a").await;
    for id in ["a", "b"] {
        let leased = leased(rig, webhook.id, id).await;
        rig.finish(&leased, Disposition::Failed).await;
        rig.clock.advance(Duration::from_mins(2));
    }
    let old = leased(rig, webhook.id, "old").await;
    assert_eq!(rig.get("a", webhook.id).await.health.n_failures, 2);
    change(rig, webhook.id, url(&webhook.url)).await;
    assert_eq!(rig.get("a", webhook.id).await.health.n_failures, 2, "the URL it has is no other");
    change(rig, webhook.id, url("https://example.org/new")).await;
    assert_eq!(rig.get("a", webhook.id).await.health, WebhookHealth::default());
    let settled = rig.settle(vec![rig.attempted(&old, Disposition::Failed)]).await;
    assert_eq!(settled.disabled.len(), 0, "the third failure, two minutes later, was another's");
    assert_eq!(rig.get("a", webhook.id).await.health, WebhookHealth::default());
    let new = leased(rig, webhook.id, "new").await;
    rig.finish(&new, Disposition::Failed).await;
    let health = rig.get("a", webhook.id).await.health;
    assert_eq!((health.n_failures, health.failing_since), (1, Some(rig.clock.now())));
}

async fn what_was_sent_before_switching_on_does_not_count(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let old = leased(rig, webhook, "x").await;
    let gone = rig.attempted(&leased(rig, webhook, "y").await, Disposition::Gone);
    assert_eq!(rig.settle(vec![gone]).await.disabled.len(), 1);
    rig.switch("a", webhook, true).await;
    let settled = rig.settle(vec![rig.attempted(&old, Disposition::Gone)]).await;
    assert_eq!(settled.disabled.len(), 0, "whoever switched it on has mended the receiver since");
    assert!(rig.get("a", webhook).await.is_active);
}

async fn a_fault_of_ours_counts_against_nobody(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    for n in 0..5 {
        let leased = leased(rig, webhook, &format!("e{n}")).await;
        let ours = Attempted { judged: None, ..rig.attempted(&leased, Disposition::Failed) };
        assert_eq!(rig.settle(vec![ours]).await.disabled.len(), 0);
        rig.clock.advance(Duration::from_mins(1));
    }
    let health = rig.get("a", webhook).await.health;
    assert_eq!(health, WebhookHealth::default(), "three failures over a minute are hopeless otherwise");
    assert_eq!(rig.n_rows(webhook).await, 5, "each is in the log");
}

async fn what_is_postponed_is_a_row_and_due_again_with_all_its_retries(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let first = leased(rig, webhook, "x").await;
    let later = rig.clock.now().after(Duration::from_secs(2));
    assert_eq!(rig.finish(&first, Disposition::Postponed(later)).await, Finished::Recorded);
    assert_eq!((rig.n_rows(webhook).await, rig.get("a", webhook).await.health.n_failures), (1, 0));
    assert_eq!(rig.lease(&[(webhook, 1, 1)]).await.len(), 0, "not yet");
    rig.clock.advance(Duration::from_secs(2));
    let again = rig.lease(&[(webhook, 1, 0)]).await;
    assert_eq!(again.len(), 1, "due again, as a first attempt");
    let again = &again[0];
    assert_eq!((&again.delivery, again.attempt, again.attempts_before), (&first.delivery, 2, 1));
    rig.finish(again, Disposition::RetryAt(rig.clock.now())).await;
    let retry = rig.lease(&[(webhook, 0, 1)]).await.remove(0);
    let now = Disposition::Postponed(rig.clock.now());
    rig.finish(&retry, now).await;
    assert_eq!(rig.finish(&retry, now).await, Finished::Recorded, "told twice, done once");
    let retry = rig.lease(&[(webhook, 0, 1)]).await.remove(0);
    assert_eq!((retry.attempt, retry.attempts_before), (4, 2), "still a retry, and its number goes on");
    assert_eq!(rig.n_rows(webhook).await, 3);
}
