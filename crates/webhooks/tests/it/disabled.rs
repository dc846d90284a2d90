//! Webhooks that are switched off by us.

use hookswitch_protocol::{EventType, Payload};
use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::{DisableReason, DisableRule, WebhookConfig};
use tokio::time::{Duration, timeout};

use crate::node::{Node, tenant};

/// Publishes one event to a receiver that answers with `status`, and waits for the notice.
async fn switched_off(status: u16, disable: DisableRule) -> (Node, DisableReason) {
    let receiver = Receiver::start([Behaviour::status(status)]).await;
    // Only the settled attempt can have changed the table.
    let table_interval = Duration::from_hours(1);
    let node = Node::start(WebhookConfig { disable, table_interval, ..WebhookConfig::default() }).await;
    let mut feed = node.webhooks.subscribe_disabled();
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(1).await;
    let notice = timeout(PATIENCE, feed.recv()).await.expect("in time").expect("notice");
    assert_eq!((notice.webhook.id, notice.webhook.is_active), (webhook.id, false));
    assert_eq!(notice.webhook.health.disabled.map(|disabled| disabled.reason), Some(notice.reason));
    let targets = node.webhooks.targets(&tenant(), &EventType::CALL_INCOMING, &Payload::empty(), node.clock.now());
    assert!(targets.iter().all(|target| target.is_missed) && targets.len() == 1, "what it misses is kept");
    assert_eq!(node.webhooks.metrics().disabled.get(), 1);
    (node, notice.reason)
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let (node, reason) = switched_off(410, DisableRule::default()).await;
    assert_eq!(reason, DisableReason::Gone);
    eventually("the delivery is given up", PATIENCE, || async { node.webhooks.metrics().failed.get() == 1 }).await;
}

#[tokio::test]
async fn a_receiver_that_only_fails_is_given_up() {
    let rule = DisableRule { after: Duration::ZERO, n_failures: 1 };
    let (_, reason) = switched_off(500, rule).await;
    assert_eq!(reason, DisableReason::Failing);
}
