//! What every `DeliveryLedger` promises.

use std::collections::HashSet;
use std::time::Duration;

use hookswitch_protocol::{EventType, Timestamp, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{
    DeliveryState, Disposition, Fingerprint, Finished, LEASE_BYTES, LeaseRequest, LeaseWish, LeasedDelivery, Retention,
    Seen, Settled, WebhookSeams,
};

use super::webhook_rig::{HOLD, Rig, chosen, duty, event_id, node, tenant};
use super::{ledger_schedule, ledger_verdicts};

/// Tries every sentence of the promise, each on a keeper of its own made by `open`. The keeper must
/// take its time from the clock it is given.
///
/// # Panics
/// When a sentence does not hold; the message says which.
pub async fn check(open: impl AsyncFn(Clock) -> WebhookSeams) {
    check_ids(&open).await;
    one_delivery_per_event_and_webhook(&Rig::open(&open).await).await;
    a_lease_gives_what_was_wished_oldest_first(&Rig::open(&open).await).await;
    a_leased_delivery_is_not_handed_out_again(&Rig::open(&open).await).await;
    an_expired_lease_is_handed_out_with_the_same_id(&Rig::open(&open).await).await;
    a_stale_fence_changes_nothing_but_is_logged(&Rig::open(&open).await).await;
    a_retry_waits_for_its_moment(&Rig::open(&open).await).await;
    ended_deliveries_stay_ended(&Rig::open(&open).await).await;
    what_is_given_back_is_due_again(&Rig::open(&open).await).await;
    a_restarted_node_gets_its_own_back(&Rig::open(&open).await).await;
    the_backlog_tells_fresh_from_retry(&Rig::open(&open).await).await;
    a_deleted_webhook_gets_nothing(&Rig::open(&open).await).await;
    a_webhook_switched_off_gets_nothing(&Rig::open(&open).await).await;
    settling_answers_in_order(&Rig::open(&open).await).await;
    an_events_deliveries_are_told(&Rig::open(&open).await).await;
    purging_is_bounded_and_spares_the_present(&Rig::open(&open).await).await;
    two_leasers_never_get_the_same(&Rig::open(&open).await).await;
    ledger_schedule::check(&open).await;
    ledger_verdicts::check(&open).await;
}

async fn check_ids(open: &impl AsyncFn(Clock) -> WebhookSeams) {
    chosen_ids_are_remembered(&Rig::open(open).await).await;
    a_conflict_stores_nothing_at_all(&Rig::open(open).await).await;
    one_batch_may_repeat_or_contradict_itself(&Rig::open(open).await).await;
    ids_are_forgotten_after_a_day(&Rig::open(open).await).await;
}

async fn enqueue(rig: &Rig, batch: &[(&str, &str, u8)], webhook: WebhookId) -> Vec<Seen> {
    let batch = batch.iter().map(|(of, id, content)| chosen(of, id, *content, &[webhook], rig.clock.now())).collect();
    rig.seams.ledger.enqueue(batch).await.expect("enqueue")
}

async fn look_up(rig: &Rig, of: &str, ids: &[(&str, u8)]) -> Vec<Seen> {
    let ids: Vec<_> = ids.iter().map(|(id, content)| (event_id(id), Fingerprint([*content; 32]))).collect();
    rig.seams.ledger.look_up(&tenant(of), &ids).await.expect("look up")
}

fn bodies(leased: &[LeasedDelivery]) -> Vec<String> {
    leased.iter().map(|delivery| String::from_utf8_lossy(&delivery.body).into_owned()).collect()
}

fn bodies_of(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| format!("{{\"data\":\"{id}\"}}")).collect()
}

async fn chosen_ids_are_remembered(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    assert_eq!(look_up(rig, "a", &[("x", 1)]).await, [Seen::New]);
    assert_eq!(look_up(rig, "a", &[("x", 1)]).await, [Seen::New], "looking up stores nothing");
    assert_eq!(enqueue(rig, &[("a", "x", 1)], webhook).await, [Seen::New]);
    let answers = look_up(rig, "a", &[("y", 1), ("x", 1), ("x", 2)]).await;
    assert_eq!(answers, [Seen::New, Seen::Repeated, Seen::Conflict], "one answer per id, in order");
    assert_eq!(look_up(rig, "b", &[("x", 2)]).await, [Seen::New], "ids are unique per tenant");
    assert_eq!(enqueue(rig, &[("a", "x", 1)], webhook).await, [Seen::Repeated]);
    assert_eq!(rig.lease(&[(webhook, 10, 0)]).await.len(), 1, "a repeated event gets no second delivery");
    let no_webhook = chosen("a", "z", 1, &[], rig.clock.now());
    assert_eq!(rig.seams.ledger.enqueue(vec![no_webhook]).await.expect("enqueue"), [Seen::New]);
    assert_eq!(look_up(rig, "a", &[("z", 1)]).await, [Seen::Repeated], "also without any webhook");
}

async fn a_conflict_stores_nothing_at_all(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    enqueue(rig, &[("a", "x", 1)], webhook).await;
    let seen = enqueue(rig, &[("a", "y", 1), ("a", "x", 2)], webhook).await;
    assert_eq!(seen, [Seen::New, Seen::Conflict]);
    assert_eq!(look_up(rig, "a", &[("y", 1)]).await, [Seen::New], "with a conflict nothing is remembered");
    assert_eq!(bodies(&rig.lease(&[(webhook, 10, 0)]).await), bodies_of(&["x"]), "with a conflict nothing is stored");
}

async fn one_batch_may_repeat_or_contradict_itself(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let seen = enqueue(rig, &[("a", "x", 1), ("a", "x", 1), ("b", "x", 2)], webhook).await;
    assert_eq!(seen, [Seen::New, Seen::Repeated, Seen::New], "a batch may repeat an id");
    let seen = enqueue(rig, &[("a", "y", 1), ("a", "y", 2)], webhook).await;
    assert!(seen.contains(&Seen::Conflict), "a batch may contradict itself: {seen:?}");
    assert_eq!(look_up(rig, "a", &[("y", 1)]).await, [Seen::New]);
    assert_eq!(rig.lease(&[(webhook, 10, 0)]).await.len(), 2);
}

async fn ids_are_forgotten_after_a_day(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    enqueue(rig, &[("a", "x", 1)], webhook).await;
    let purge = async || {
        let retention = Retention { now: rig.clock.now(), ended: Duration::from_hours(720), limit: 100 };
        rig.seams.ledger.purge(retention).await.expect("purge");
    };
    rig.clock.advance(Duration::from_hours(23));
    purge().await;
    assert_eq!(look_up(rig, "a", &[("x", 2)]).await, [Seen::Conflict], "remembered for a day");
    rig.clock.advance(Duration::from_hours(2));
    purge().await;
    assert_eq!(look_up(rig, "a", &[("x", 2)]).await, [Seen::New], "and no longer");
    assert_eq!(enqueue(rig, &[("a", "x", 2)], webhook).await, [Seen::New], "the id can be used again");
}

async fn one_delivery_per_event_and_webhook(rig: &Rig) {
    let (first, second) = (rig.webhook("a").await, rig.webhook("a").await);
    rig.enqueue("a", &["x", "y"], &[first.id, second.id]).await;
    let leased = rig.lease(&[(first.id, 10, 10), (second.id, 10, 10)]).await;
    let ids: HashSet<_> = leased.iter().map(|delivery| delivery.delivery.clone()).collect();
    assert_eq!((leased.len(), ids.len()), (4, 4), "one delivery per event and webhook, each with its own id");
    let of_first = leased.iter().find(|delivery| delivery.webhook.id == first.id).expect("one of the first");
    assert_eq!(*of_first.webhook, first, "a delivery carries its webhook as it is");
    assert_eq!((of_first.event_type.clone(), of_first.attempt), (EventType::CALL_INCOMING, 1));
}

async fn a_lease_gives_what_was_wished_oldest_first(rig: &Rig) {
    let (webhook, other) = (rig.webhook("a").await.id, rig.webhook("a").await.id);
    for id in ["c", "a", "b"] {
        rig.enqueue("a", &[id], &[webhook, other]).await;
        rig.clock.advance(Duration::from_millis(10));
    }
    let leased = rig.lease(&[(webhook, 2, 5)]).await;
    assert_eq!(bodies(&leased), bodies_of(&["c", "a"]), "at most so many, oldest due first, of this webhook only");
    assert_eq!(bodies(&rig.lease(&[(webhook, 2, 0)]).await), bodies_of(&["b"]));
    assert_eq!(rig.lease(&[(other, 0, 5)]).await.len(), 0, "first attempts are no retries");
    let late = duty("a", "late", &[webhook], rig.clock.now().after(Duration::from_mins(1)));
    rig.seams.ledger.enqueue(vec![late]).await.expect("enqueue");
    assert_eq!(rig.lease(&[(webhook, 5, 5)]).await.len(), 0, "what is not due is not handed out");
    assert_eq!(rig.lease(&[(WebhookId(999_999), 5, 5)]).await.len(), 0, "nobody's webhook has no work");
}

async fn a_leased_delivery_is_not_handed_out_again(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    rig.lease_one(webhook).await;
    rig.clock.advance(HOLD.saturating_sub(Duration::from_secs(1)));
    assert_eq!(rig.sweep().await.n_leases, 0, "the lease holds");
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "what is leased is not handed out again");
}

async fn an_expired_lease_is_handed_out_with_the_same_id(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x", "y"], &[webhook]).await;
    let first = rig.lease(&[(webhook, 10, 0)]).await;
    rig.clock.advance(HOLD + Duration::from_secs(1));
    assert_eq!(rig.sweep().await.n_leases, 2, "the sweep counts what it gave back");
    let second = rig.lease(&[(webhook, 10, 0)]).await;
    assert_eq!(second.len(), 2, "a lease that ran out is handed out again");
    for (before, after) in first.iter().zip(&second) {
        assert_eq!((&before.delivery, &before.body), (&after.delivery, &after.body), "the same id and body");
        assert_eq!(after.attempt, 1, "no attempt was settled");
        assert!(after.lease.fence > before.lease.fence, "two leases of one delivery never share a fence");
    }
}

async fn a_stale_fence_changes_nothing_but_is_logged(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    let stale = rig.lease_one(webhook).await;
    rig.clock.advance(HOLD + Duration::from_secs(1));
    rig.sweep().await;
    assert_eq!(rig.finish(&stale, Disposition::Failed).await, Finished::LeaseLost, "the lease was swept");
    let held = rig.lease_one(webhook).await;
    assert_eq!(rig.finish(&stale, Disposition::Delivered).await, Finished::LeaseLost, "somebody else holds it");
    assert_eq!(rig.n_rows(webhook).await, 2, "attempts under a stale lease were made, so they are logged");
    rig.seams.ledger.give_back(vec![stale.lease.clone()]).await.expect("give back");
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "a stale fence gives nothing back");
    assert_eq!(rig.finish(&held, Disposition::Delivered).await, Finished::Recorded, "the holder's result counts");
    assert_eq!(rig.n_rows(webhook).await, 3);
    assert_eq!(rig.finish(&held, Disposition::Delivered).await, Finished::Recorded, "the answer was lost");
    assert_eq!(rig.n_rows(webhook).await, 3, "and the same attempt is not logged again");
}

async fn a_retry_waits_for_its_moment(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    let first = rig.lease_one(webhook).await;
    let due = rig.clock.now().after(Duration::from_secs(2));
    assert_eq!(rig.finish(&first, Disposition::RetryAt(due)).await, Finished::Recorded);
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "a retry waits for its moment");
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(rig.lease(&[(webhook, 10, 0)]).await.len(), 0, "a retry is no first attempt");
    let second = rig.lease_one(webhook).await;
    assert_eq!((second.attempt, &second.delivery, &second.body), (2, &first.delivery, &first.body));
    assert_eq!(second.due_at, due);
    assert_eq!(rig.n_rows(webhook).await, 1);
}

async fn ended_deliveries_stay_ended(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x", "y"], &[webhook]).await;
    let leased = rig.lease(&[(webhook, 10, 0)]).await;
    assert_eq!(rig.finish(&leased[0], Disposition::Delivered).await, Finished::Recorded);
    assert_eq!(rig.finish(&leased[1], Disposition::Failed).await, Finished::Recorded);
    rig.clock.advance(HOLD * 2);
    rig.sweep().await;
    rig.seams.ledger.reclaim(&node("node-1")).await.expect("reclaim");
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "what has ended is not handed out again");
    assert_eq!(rig.n_rows(webhook).await, 2, "one row per attempt");
}

async fn what_is_given_back_is_due_again(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    let before = rig.lease_one(webhook).await;
    rig.seams.ledger.give_back(vec![before.lease.clone()]).await.expect("give back");
    let after = rig.lease_one(webhook).await;
    assert_eq!((after.attempt, &after.delivery), (1, &before.delivery), "what was given back was not attempted");
    assert_ne!(after.lease, before.lease, "two leases of one delivery never share a fence");
    assert_eq!(rig.n_rows(webhook).await, 0);
}

async fn a_restarted_node_gets_its_own_back(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x", "y"], &[webhook]).await;
    assert_eq!(rig.lease(&[(webhook, 10, 0)]).await.len(), 2);
    assert_eq!(rig.seams.ledger.reclaim(&node("node-1")).await.expect("reclaim"), 2, "its former self held two");
    assert_eq!(rig.lease(&[(webhook, 10, 0)]).await.len(), 2, "they are due at once");
}

async fn the_backlog_tells_fresh_from_retry(rig: &Rig) {
    let (busy, idle) = (rig.webhook("a").await.id, rig.webhook("b").await.id);
    let ask = async || rig.seams.ledger.backlog(rig.clock.now()).await.expect("backlog");
    assert_eq!(ask().await, hookswitch_webhooks::Backlog::default(), "nothing waits");
    rig.enqueue("a", &["x"], &[busy]).await;
    rig.enqueue("b", &["y"], &[idle]).await;
    let kinds = |backlog: &hookswitch_webhooks::Backlog, webhook: WebhookId| {
        let found: Vec<_> = backlog.due.iter().filter(|due| due.webhook == webhook).collect();
        assert!(found.len() <= 1, "a webhook stands once in the backlog: {found:?}");
        found.first().map(|due| (due.tenant.as_str().to_owned(), due.has_fresh, due.has_retry))
    };
    let backlog = ask().await;
    assert_eq!(kinds(&backlog, busy), Some(("a".to_owned(), true, false)));
    assert_eq!(kinds(&backlog, idle), Some(("b".to_owned(), true, false)));
    let leased = rig.lease_one(busy).await;
    assert_eq!(kinds(&ask().await, busy), None, "what is leased is not waiting");
    let due = rig.clock.now().after(Duration::from_secs(2));
    rig.finish(&leased, Disposition::RetryAt(due)).await;
    let backlog = ask().await;
    assert_eq!((kinds(&backlog, busy), backlog.next_due), (None, Some(due)), "it says when the next one comes due");
    rig.clock.advance(Duration::from_secs(2));
    rig.enqueue("a", &["z"], &[busy]).await;
    assert_eq!(kinds(&ask().await, busy), Some(("a".to_owned(), true, true)));
}

async fn a_deleted_webhook_gets_nothing(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x", "y"], &[webhook]).await;
    let mut leased = rig.lease(&[(webhook, 1, 0)]).await;
    rig.seams.directory.delete(&tenant("a"), webhook).await.expect("delete");
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "waiting deliveries of a deleted webhook are cancelled");
    let under_way = leased.remove(0);
    rig.finish(&under_way, Disposition::RetryAt(rig.clock.now())).await;
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "the one under way gets no retry");
    let backlog = rig.seams.ledger.backlog(rig.clock.now()).await.expect("backlog");
    assert_eq!(backlog.due, [], "nothing of it waits");
}

async fn a_webhook_switched_off_gets_nothing(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x"], &[webhook]).await;
    rig.switch("a", webhook, false).await;
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "an inactive webhook is handed nothing");
    rig.switch("a", webhook, true).await;
    assert_eq!(rig.lease(&[(webhook, 10, 10)]).await.len(), 0, "what it missed comes on request only");
    rig.enqueue("a", &["y"], &[webhook]).await;
    assert_eq!(bodies(&[rig.lease_one(webhook).await]), bodies_of(&["y"]));
}

async fn settling_answers_in_order(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    rig.enqueue("a", &["x", "y", "z"], &[webhook]).await;
    let leased = rig.lease(&[(webhook, 10, 0)]).await;
    assert_eq!(rig.finish(&leased[1], Disposition::Delivered).await, Finished::Recorded);
    rig.clock.advance(Duration::from_secs(1));
    let batch = leased.iter().map(|delivery| rig.attempted(delivery, Disposition::Delivered)).collect();
    let answers = rig.settle(batch).await.finished;
    assert_eq!(answers, [Finished::Recorded, Finished::LeaseLost, Finished::Recorded], "one answer each, in order");
    assert_eq!(rig.settle(Vec::new()).await, Settled::default());
}

async fn purging_is_bounded_and_spares_the_present(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let settle_all = async |ids: &[&str]| {
        rig.enqueue("a", ids, &[webhook]).await;
        for leased in rig.lease(&[(webhook, 10, 0)]).await {
            rig.finish(&leased, Disposition::Delivered).await;
        }
    };
    settle_all(&["a", "b", "c"]).await;
    rig.clock.advance(Duration::from_hours(48));
    settle_all(&["d"]).await;
    rig.enqueue("a", &["waiting"], &[webhook]).await;
    let retention = Retention { now: rig.clock.now(), ended: Duration::from_hours(24), limit: 2 };
    let mut n_calls = 0;
    while rig.seams.ledger.purge(retention).await.expect("purge") > 0 {
        n_calls += 1;
        assert!(n_calls < 50, "purging comes to an end");
    }
    assert!(n_calls > 1, "three old rows are more than one step of two");
    assert_eq!(rig.n_rows(webhook).await, 1, "rows past retention go, others stay");
    assert_eq!(bodies(&[rig.lease_one(webhook).await]), bodies_of(&["waiting"]), "what waits is not purged");
}

async fn two_leasers_never_get_the_same(rig: &Rig) {
    let webhook = rig.webhook("a").await.id;
    let ids: Vec<String> = (0..50).map(|n| format!("e{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    rig.enqueue("a", &ids, &[webhook]).await;
    let now: Timestamp = rig.clock.now();
    let lease = |by: &str| {
        let wishes = vec![LeaseWish { webhook, fresh: 40, retries: 0 }];
        rig.seams.ledger.lease(LeaseRequest { by: node(by), now, hold: HOLD, n_bytes: LEASE_BYTES, wishes })
    };
    let (one, two) = tokio::join!(lease("node-1"), lease("node-2"));
    let both: Vec<_> = one.expect("lease").into_iter().chain(two.expect("lease")).collect();
    let different: HashSet<_> = both.iter().map(|delivery| delivery.lease.number).collect();
    assert_eq!((both.len(), different.len()), (50, 50), "no delivery is handed out twice");
}

async fn an_events_deliveries_are_told(rig: &Rig) {
    let (first, second, other) = (rig.webhook("a").await, rig.webhook("a").await, rig.webhook("b").await);
    let at = rig.clock.now();
    rig.enqueue("a", &["e1"], &[second.id, first.id]).await;
    rig.enqueue("b", &["e1"], &[other.id]).await;
    enqueue(rig, &[("a", "chosen", 1)], first.id).await;
    let told = async |of: &str, id: &str, at: Option<Timestamp>| {
        let (of, id) = (tenant(of), event_id(id));
        let told = rig.seams.ledger.deliveries_of(&of, &id, at, 10).await.expect("told");
        told.into_iter().map(|delivery| (delivery.webhook, delivery.state, delivery.due_at)).collect::<Vec<_>>()
    };
    let due = |webhook: WebhookId| (webhook, DeliveryState::Due, Some(at));
    assert_eq!(told("a", "e1", Some(at)).await, [due(first.id), due(second.id)], "and no other tenant's");
    assert_eq!(told("a", "chosen", None).await, [due(first.id)], "a chosen id is remembered");
    assert!(told("a", "e1", None).await.is_empty(), "nobody knows when it was");
    assert!(told("a", "e2", Some(at)).await.is_empty());
    let limited = rig.seams.ledger.deliveries_of(&tenant("a"), &event_id("e1"), Some(at), 1).await.expect("told");
    assert_eq!((limited.len(), limited[0].accepted_at), (1, at));
    let leased = rig.lease_one(second.id).await;
    assert_eq!(leased.delivery, {
        let all = rig.seams.ledger.deliveries_of(&tenant("a"), &event_id("e1"), Some(at), 10).await.expect("told");
        all[1].delivery.clone()
    });
    assert_eq!(told("a", "e1", Some(at)).await[1], (second.id, DeliveryState::Leased, None));
    rig.finish(&leased, Disposition::Failed).await;
    assert_eq!(told("a", "e1", Some(at)).await[1], (second.id, DeliveryState::Failed, None));
}
