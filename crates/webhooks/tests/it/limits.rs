//! Breakers, rates and caps, with real sockets.

use std::time::Duration;

use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::{
    BreakerRule, BreakerState, LogEntry, LogFilter, Page, SkipReason, WebhookConfig, WebhookOptions,
};

use crate::node::{Node, tenant};

/// The reasons of the webhook's skip rows.
async fn skips(node: &Node, webhook: hookswitch_protocol::WebhookId) -> Vec<SkipReason> {
    let filter = LogFilter { with_skips: true, ..LogFilter::default() };
    let listed = node.webhooks.logs(&tenant(), webhook, &filter, Page::first(1_000)).await;
    let skips = listed.expect("it is theirs").rows.into_iter().filter_map(|entry| match entry {
        LogEntry::Skip(logged) => Some(logged.row.reason),
        LogEntry::Attempt(_) => None,
    });
    skips.collect()
}

#[tokio::test]
async fn a_receiver_that_only_fails_is_left_alone_and_nothing_is_lost() {
    let receiver = Receiver::start([Behaviour::status(503)]).await;
    let breaker = BreakerRule { min_attempts: 20, open_for: Duration::from_secs(3), ..BreakerRule::default() };
    let node = Node::start(WebhookConfig { breaker, ..WebhookConfig::default() }).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(100).await;
    let state = || node.webhooks.breaker(webhook.id);
    eventually("it opens", PATIENCE, || async { matches!(state(), BreakerState::Open { .. }) }).await;
    eventually("nothing runs", PATIENCE, || async { node.webhooks.in_flight() == 0 }).await;
    let n_tried = receiver.count();
    assert!((20..30).contains(&n_tried), "20 failures and what ran beside them: {n_tried}");
    receiver.now([Behaviour::status(200)]);
    assert_eq!(receiver.count(), n_tried, "nothing is sent while it is open");
    eventually("all are delivered", PATIENCE, || async { node.webhooks.metrics().delivered.get() == 100 }).await;
    assert_eq!(state(), BreakerState::Closed);
    assert_eq!(receiver.count(), 100 + n_tried, "each failed one was made again once");
    assert_eq!(skips(&node, webhook.id).await, [SkipReason::BreakerOpen], "one row per opening");
    assert_eq!(
        (node.webhooks.metrics().breaker_opened.get(), node.webhooks.n_breakers_open(), node.webhooks.n_ready()),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_rate_limit_spreads_attempts_and_holds_up_nobody_else() {
    let (slow, quick) = (Receiver::healthy().await, Receiver::healthy().await);
    let node = Node::start(WebhookConfig::default()).await;
    let options = WebhookOptions { rate_limit: Some(20), ..WebhookOptions::default() };
    let limited = node.webhook_by_hand(&slow.url("/"), options).await;
    let free = node.webhook(&quick.url("/")).await;
    node.publish_to(&[limited.id, free.id], 60).await;
    quick.wait_for(60).await;
    assert!(slow.count() < 60, "the other one did not wait");
    let requests = slow.wait_for(60).await;
    let took = requests[59].at - requests[0].at;
    assert!(took > Duration::from_millis(1_800), "20 at once, then 20 a second: {took:?}");
    let counters = || node.webhooks.metrics();
    eventually("all are delivered", PATIENCE, || async { counters().delivered.get() == 120 }).await;
    assert!(counters().rate_limited.get() > 0 && counters().retried.get() == 0, "waiting uses up no attempts");
}

#[tokio::test]
async fn a_webhook_may_have_fewer_slots_or_more_than_the_node_gives() {
    for slots in [1, 3, 25] {
        let receiver = Receiver::start([Behaviour::Hang]).await;
        let node = Node::start(WebhookConfig::default()).await;
        let options = WebhookOptions { max_in_flight: Some(slots), ..WebhookOptions::default() };
        let webhook = node.webhook_by_hand(&receiver.url("/"), options).await;
        node.publish_to(&[webhook.id], 50).await;
        let slots = slots as usize;
        eventually("its slots are full", PATIENCE, || async { receiver.count() == slots }).await;
        receiver.now([Behaviour::Hang]);
        node.publish_to(&[webhook.id], 1).await;
        assert_eq!((receiver.count(), node.webhooks.in_flight()), (slots, slots as u64));
    }
}
