//! Stopping: what runs may finish, what was cut off is given back, nothing is lost.

use std::time::Duration;

use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::WebhookConfig;

use crate::node::{Node, tenant};

#[tokio::test]
async fn running_attempts_finish_and_are_settled() {
    let slow = Receiver::start([Behaviour::After(Duration::from_millis(500))]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&slow.url("/")).await;
    node.publish(5).await;
    slow.wait_for(5).await;
    assert!(node.stop().await, "everything ended within the grace");
    assert_eq!(node.rows(webhook.id).await.len(), 5);
    assert_eq!(node.webhooks.metrics().delivered.get(), 5);
}

#[tokio::test]
async fn what_was_cut_off_is_due_for_the_next_process() {
    let receiver = Receiver::start([Behaviour::Hang]).await;
    let config = WebhookConfig { stop_grace: Duration::from_millis(200), ..WebhookConfig::default() };
    let node = Node::start(config.clone()).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(30).await;
    let cut = receiver.wait_for(10).await;
    assert!(node.stop().await, "cut off and given back within the grace");
    assert_eq!(receiver.count(), 10, "no new attempt after the soft token");
    let rows = node.rows(webhook.id).await;
    assert_eq!(rows.len(), 10, "each attempt that was cut off is a row");
    assert!(rows.iter().all(|row| row.error.as_deref().is_some_and(|error| error.starts_with("cut_off:"))), "{rows:?}");
    assert!(rows.iter().all(|row| row.response_code.is_none() && row.duration_ms >= 100 && row.delivery.is_some()));
    let health = node.webhooks.get(&tenant(), webhook.id).await.expect("theirs").health;
    assert_eq!(health.n_failures, 0, "and no failure of the receiver");
    receiver.now([Behaviour::status(200)]);
    let next = Node::start_on(config, node.seams.clone()).await;
    let requests = receiver.wait_for(40).await;
    let first: Vec<_> = cut.iter().map(|request| request.delivery_id().to_owned()).collect();
    let again = requests[10..].iter().filter(|request| first.contains(&request.delivery_id().to_owned())).count();
    assert_eq!(again, 10, "with the same ids");
    let attempts = requests[10..].iter().map(|request| request.header("x-webhook-attempt").unwrap_or_default());
    let mut attempts: Vec<String> = attempts.map(str::to_owned).collect();
    attempts.sort_unstable();
    assert_eq!((attempts[0].as_str(), attempts[20].as_str()), ("1", "2"), "and numbers that go on");
    eventually("all are delivered", PATIENCE, || async { next.webhooks.metrics().delivered.get() == 30 }).await;
}

#[tokio::test]
async fn the_leases_of_a_process_that_died_are_due_at_the_next_start() {
    let receiver = Receiver::start([Behaviour::Hang]).await;
    let node = Node::start(WebhookConfig::default()).await;
    node.webhook(&receiver.url("/")).await;
    node.publish(3).await;
    receiver.wait_for(3).await;
    // The hard token stands for kill -9: nothing is given back.
    node.scope.hard().cancel();
    node.scope.shut_down(Duration::ZERO).await;
    receiver.now([Behaviour::status(200)]);
    let next = Node::start_on(WebhookConfig::default(), node.seams.clone()).await;
    receiver.wait_for(6).await;
    eventually("all are delivered", PATIENCE, || async { next.webhooks.metrics().delivered.get() == 3 }).await;
}

#[tokio::test]
async fn a_test_delivery_that_is_cut_off_is_a_row() {
    let receiver = Receiver::start([Behaviour::Hang]).await;
    let config = WebhookConfig { stop_grace: Duration::from_millis(200), ..WebhookConfig::default() };
    let node = Node::start(config).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    let tenant = tenant();
    let (tested, stopped) = tokio::join!(node.webhooks.test(&tenant, webhook.id), async {
        receiver.wait_for(1).await;
        node.stop().await
    });
    assert!(stopped, "within the grace");
    let report = tested.expect("it was made");
    assert!(report.error.is_some_and(|error| error.starts_with("cut_off:")));
    assert_eq!(node.rows(webhook.id).await.len(), 1);
}
