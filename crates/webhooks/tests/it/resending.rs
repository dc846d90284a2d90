//! Rotation, switching on again, and deliveries made a second time.

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, ErrorCode, EventId, EventType, TenantId, Timestamp, WebhookId};
use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::{
    DeliveryTarget, LogFilter, NewDeliveries, Page, Resent, Rotation, WebhookConfig, WebhookError, WebhookInput,
};

use crate::node::{Node, tenant};

const EVER: Timestamp = Timestamp::from_millis(0);

fn other() -> TenantId {
    TenantId::parse("other").expect("legal")
}

fn resent(n_queued: u64) -> Resent {
    Resent { n_queued, has_more: false }
}

async fn switch_off(node: &Node, id: WebhookId) {
    let off = WebhookInput { is_active: Some(false), ..WebhookInput::default() };
    node.webhooks.update(&tenant(), id, off).await.expect("theirs");
}

/// Publishes one event that a webhook misses because it is off.
async fn miss(node: &Node, id: WebhookId) {
    let at = node.clock.now();
    let new = NewDeliveries {
        tenant: tenant(),
        event_id: EventId::generate(at),
        event_type: EventType::CALL_INCOMING,
        body: Bytes::from_static(b"{}"),
        accepted_at: at,
        targets: vec![DeliveryTarget { is_missed: true, ..DeliveryTarget::new(id) }],
        fingerprint: None,
    };
    node.webhooks.enqueue(vec![new]).await.expect("memory");
}

async fn delivery_of_first_row(node: &Node, id: WebhookId) -> DeliveryId {
    node.rows_when(id, 1).await[0].delivery.clone().expect("new rows have one")
}

#[tokio::test]
async fn what_failed_is_sent_again_with_its_id_and_goes_on_counting() {
    let receiver = Receiver::start([Behaviour::status(404)]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(3).await;
    eventually("all are given up", PATIENCE, || async { node.webhooks.metrics().failed.get() == 3 }).await;
    receiver.now([Behaviour::status(200)]);
    let nothing = node.webhooks.resend(&tenant(), webhook.id, node.clock.now().after(PATIENCE)).await;
    assert_eq!(nothing.expect("theirs"), resent(0));
    assert_eq!(node.webhooks.resend(&tenant(), webhook.id, EVER).await.expect("theirs"), resent(3));
    eventually("all are delivered", PATIENCE, || async { node.webhooks.metrics().delivered.get() == 3 }).await;
    let rows = node.rows_when(webhook.id, 6).await;
    let ids = |attempt| {
        let mut ids: Vec<_> =
            rows.iter().filter(|row| row.attempt == attempt).map(|row| row.delivery.clone()).collect();
        ids.sort_by_key(|id| id.as_ref().map(ToString::to_string));
        ids
    };
    assert_eq!((ids(1).len(), ids(1)), (3, ids(2)));
    assert_eq!(node.webhooks.metrics().resent.get(), 3);
}

#[tokio::test]
async fn one_delivery_is_sent_again_however_it_ended_unless_it_waits() {
    let receiver = Receiver::start([Behaviour::status(200)]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(1).await;
    let delivery = delivery_of_first_row(&node, webhook.id).await;
    receiver.now([Behaviour::status(500)]);
    let tenant = tenant();
    let again = || node.webhooks.resend_one(&tenant, webhook.id, delivery.clone());
    assert_eq!(again().await.expect("it has ended"), resent(1));
    node.rows_when(webhook.id, 2).await;
    let error = again().await.expect_err("its retry waits");
    assert!(matches!(error, WebhookError::UnderWay { .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::Conflict);
    let unknown = DeliveryId::generate(node.clock.now());
    let error = node.webhooks.resend_one(&tenant, webhook.id, unknown).await.expect_err("unknown");
    assert_eq!(error.code(), ErrorCode::NotFound);
    let neighbour = node.webhook(&receiver.url("/")).await;
    let error = node.webhooks.resend_one(&tenant, neighbour.id, delivery.clone()).await.expect_err("another's");
    assert_eq!(error.code(), ErrorCode::NotFound, "a delivery belongs to its webhook");
}

#[tokio::test]
async fn switched_on_again_it_gets_what_it_missed_if_that_is_wanted() {
    let receiver = Receiver::healthy().await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    switch_off(&node, webhook.id).await;
    let early = node.clock.now();
    for _ in 0..2 {
        miss(&node, webhook.id).await;
    }
    let error = node.webhooks.resend(&tenant(), webhook.id, EVER).await.expect_err("it is off");
    assert_eq!(error.code(), ErrorCode::Conflict, "{error}");
    let enabled = node.webhooks.enable(&tenant(), webhook.id, None).await.expect("theirs");
    assert!(enabled.webhook.is_active);
    assert_eq!((enabled.missed, receiver.count()), (resent(0), 0));
    let enabled = node.webhooks.enable(&tenant(), webhook.id, Some(early)).await.expect("theirs");
    assert_eq!(enabled.missed, resent(2));
    receiver.wait_for(2).await;
}

#[tokio::test]
async fn what_another_node_lets_it_miss_because_it_has_not_heard_yet_follows() {
    let receiver = Receiver::healthy().await;
    let often = std::time::Duration::from_millis(50);
    let node = Node::start(WebhookConfig { table_interval: often, ..WebhookConfig::default() }).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    switch_off(&node, webhook.id).await;
    let enabled = node.webhooks.enable(&tenant(), webhook.id, Some(node.clock.now())).await.expect("theirs");
    assert_eq!(enabled.missed, resent(0));
    miss(&node, webhook.id).await;
    receiver.wait_for(1).await;
}

#[tokio::test]
async fn a_resend_goes_in_steps_until_nothing_is_left() {
    let node = Node::start(WebhookConfig { concurrency: 2, ..WebhookConfig::default() }).await;
    let webhook = node.webhook("http://127.0.0.1:9/").await;
    switch_off(&node, webhook.id).await;
    for _ in 0..1_001 {
        miss(&node, webhook.id).await;
    }
    // Five steps, the last not full.
    let enabled = node.webhooks.enable(&tenant(), webhook.id, Some(EVER)).await.expect("theirs");
    assert_eq!(enabled.missed, resent(1_001));
}

#[tokio::test]
async fn a_secret_rotated_without_overlap_is_over_at_once() {
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook("https://1.1.1.1/hook").await;
    let rotation = Rotation { overlap_seconds: Some(0), ..Rotation::default() };
    let rotated = node.webhooks.rotate_secret(&tenant(), webhook.id, rotation).await.expect("theirs");
    assert_ne!(rotated.secret, webhook.secret);
    assert_eq!(rotated.previous_secret, None);
}

#[tokio::test]
async fn a_rotation_keeps_the_former_secret_for_a_while() {
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook("http://127.0.0.1:9/").await;
    let before = node.clock.now();
    let rotation = Rotation { overlap_seconds: Some(60), ..Rotation::default() };
    let rotated = node.webhooks.rotate_secret(&tenant(), webhook.id, rotation).await.expect("theirs");
    assert!(rotated.secret.as_ref().is_some_and(|secret| secret.reveal().starts_with("whsec_")));
    let previous = rotated.previous_secret.expect("there was one");
    assert_eq!(Some(previous.secret), webhook.secret);
    assert!(previous.valid_until.since(before).as_secs() >= 60);
}

#[tokio::test]
async fn everything_new_is_not_found_for_another_tenant_whatever_is_asked() {
    let node = Node::start(WebhookConfig::default()).await;
    let theirs = node.webhook("http://127.0.0.1:9/").await;
    let webhooks = &node.webhooks;
    let nonsense = Rotation { overlap_seconds: Some(-1), ..Rotation::default() };
    let delivery = DeliveryId::generate(node.clock.now());
    let errors = [
        webhooks.rotate_secret(&other(), theirs.id, nonsense).await.expect_err("foreign"),
        webhooks.enable(&other(), theirs.id, Some(EVER)).await.expect_err("foreign"),
        webhooks.resend(&other(), theirs.id, EVER).await.expect_err("foreign"),
        webhooks.resend_one(&other(), theirs.id, delivery).await.expect_err("foreign"),
    ];
    for error in errors {
        assert!(matches!(error, WebhookError::NotFound { .. }), "{error}");
    }
    assert_eq!(webhooks.get(&tenant(), theirs.id).await.expect("theirs"), theirs);
    let page = Page::first(1);
    assert_eq!(webhooks.logs(&tenant(), theirs.id, &LogFilter::default(), page).await.expect("theirs").total, 0);
}
