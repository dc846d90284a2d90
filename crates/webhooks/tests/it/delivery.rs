//! A delivery from the event to its end.

use std::time::Duration;

use hookswitch_protocol::Secret;
use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::{WebhookConfig, WebhookInput, verify_signature};

use crate::node::{Node, SECRET, tenant};

#[tokio::test]
async fn a_receiver_gets_the_event_as_the_contract_says() {
    let receiver = Receiver::healthy().await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&receiver.url("/hook?x=1")).await;
    node.publish(1).await;
    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?x=1"));
    let body = request.json();
    assert_eq!((&body["event"], &body["data"]), (&"call.incoming".into(), &serde_json::json!({"n": 0})));
    let id = webhook.id.to_string();
    let wanted = [
        ("Content-Type", "application/json"),
        ("User-Agent", "CallCenter-Webhook/1.0"),
        ("X-Webhook-Event", "call.incoming"),
        ("X-Webhook-ID", &id),
        ("X-Webhook-Attempt", "1"),
    ];
    for (name, value) in wanted {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert!(request.has_hex_signature(SECRET) && request.has_standard_signature(SECRET));
    assert!(verify_signature(&request.body, request.header("X-Webhook-Signature").expect("signed"), SECRET));
    assert_eq!(request.header("accept-encoding"), None, "nothing compressed is asked for");
    let rows = node.rows_when(webhook.id, 1).await;
    assert_eq!((rows[0].response_code, rows[0].attempt, &rows[0].body), (Some(200), 1, &request.body));
    eventually("it counts as delivered", PATIENCE, || async { node.webhooks.metrics().delivered.get() == 1 }).await;
    assert!(node.stop().await);
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed_and_whsec_is_decoded_for_the_standard_only() {
    let receiver = Receiver::healthy().await;
    let node = Node::start(WebhookConfig::default()).await;
    let standard = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let webhook = node.webhook(&receiver.url("/")).await;
    let input = WebhookInput { secret: Some(Secret::new(standard)), ..WebhookInput::default() };
    node.webhooks.update(&tenant(), webhook.id, input).await.expect("a good secret");
    node.publish(1).await;
    let request = receiver.wait_for(1).await.remove(0);
    assert!(request.has_hex_signature(standard) && request.has_standard_signature(standard));
    let unsigned = WebhookInput {
        name: Some("unsigned".to_owned()),
        url: Some(receiver.url("/unsigned")),
        events: Some(vec!["ticket.created".to_owned()]),
        ..WebhookInput::default()
    };
    let unsigned = node.webhooks.create(&tenant(), unsigned).await.expect("no secret is fine");
    node.publish_to(&[unsigned.id], 1).await;
    let request = receiver.wait_for(2).await.remove(1);
    assert_eq!((request.header("X-Webhook-Signature"), request.header("webhook-signature")), (None, None));
    assert!(request.header("webhook-id").is_some() && request.header("webhook-timestamp").is_some());
}

#[tokio::test]
async fn failures_are_tried_again_after_2_and_4_seconds_with_the_same_id_and_body() {
    let receiver = Receiver::start([Behaviour::status(500), Behaviour::Reset, Behaviour::status(204)]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(1).await;
    let requests = receiver.wait_for(3).await;
    for (pair, wanted) in requests.windows(2).zip([2.0, 4.0]) {
        let gap = (pair[1].at - pair[0].at).as_secs_f64();
        assert!((wanted * 0.95..wanted * 1.5).contains(&gap), "{gap} s instead of {wanted} s");
        assert_eq!(pair[0].delivery_id(), pair[1].delivery_id());
        assert_eq!(pair[0].body, pair[1].body);
    }
    let attempts: Vec<_> = requests.iter().map(|request| request.header("X-Webhook-Attempt").expect("sent")).collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    let rows = node.rows_when(webhook.id, 3).await;
    let codes: Vec<_> = rows.iter().map(|row| row.response_code).collect();
    assert_eq!(codes, [Some(500), None, Some(204)]);
    assert!(rows[1].error.as_ref().expect("why").starts_with("connection_reset: "), "{:?}", rows[1].error);
    let counters = node.webhooks.metrics();
    assert_eq!((counters.attempts.get(), counters.retried.get()), (3, 2));
}

#[tokio::test]
async fn refusals_and_redirects_are_not_tried_again() {
    for status in [400, 404, 410, 429] {
        let receiver = Receiver::start([Behaviour::status(status)]).await;
        let node = Node::start(WebhookConfig::default()).await;
        let webhook = node.webhook(&receiver.url("/")).await;
        node.publish(1).await;
        assert_eq!(node.rows_when(webhook.id, 1).await[0].response_code, Some(status));
        eventually("it is given up", PATIENCE, || async { node.webhooks.metrics().failed.get() == 1 }).await;
        let backlog = node.seams.ledger.backlog(node.clock.now()).await.expect("memory");
        assert_eq!((backlog.due.len(), backlog.next_due), (0, None), "nothing is left to do after {status}");
    }
}

#[tokio::test]
async fn the_last_retry_ends_it() {
    let receiver = Receiver::start([Behaviour::status(503)]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let input = WebhookInput { retry_count: Some(1), ..WebhookInput::default() };
    let webhook = node.webhook_with(&receiver.url("/"), input).await;
    node.publish(1).await;
    node.rows_when(webhook.id, 2).await;
    eventually("it is given up", PATIENCE, || async { node.webhooks.metrics().failed.get() == 1 }).await;
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn work_nobody_told_us_of_is_found() {
    let receiver = Receiver::healthy().await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    // Straight into the ledger, as another process would.
    let new = hookswitch_webhooks::NewDeliveries {
        tenant: tenant(),
        event_id: hookswitch_protocol::EventId::parse("foreign").expect("legal"),
        event_type: hookswitch_protocol::EventType::CALL_ENDED,
        body: bytes::Bytes::from_static(b"{}"),
        accepted_at: node.clock.now(),
        targets: vec![hookswitch_webhooks::DeliveryTarget::new(webhook.id)],
        fingerprint: None,
    };
    node.seams.ledger.enqueue(vec![new]).await.expect("memory");
    receiver.wait_for(1).await;
}

#[tokio::test]
async fn thousands_go_out_once_each() {
    let receiver = Receiver::healthy().await;
    let config = WebhookConfig { per_webhook: 64, ..WebhookConfig::default() };
    let node = Node::start(config).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    for _ in 0..10 {
        node.publish(300).await;
    }
    let requests = receiver.wait_for(3_000).await;
    let ids: std::collections::HashSet<_> = requests.iter().map(|request| request.delivery_id().to_owned()).collect();
    assert_eq!(ids.len(), 3_000);
    assert!(requests.iter().all(|request| request.has_hex_signature(SECRET)));
    node.rows_when(webhook.id, 3_000).await;
    assert!(node.stop().await);
    assert_eq!((receiver.count(), node.webhooks.in_flight(), node.webhooks.n_unsettled()), (3_000, 0, 0));
}

#[tokio::test]
async fn a_lease_that_ran_out_is_sent_again_with_the_same_id() {
    let receiver = Receiver::start([Behaviour::After(Duration::from_secs(2)), Behaviour::status(200)]).await;
    let config = WebhookConfig {
        lease_hold: Duration::from_millis(500),
        sweep_interval: Duration::from_millis(100),
        ..WebhookConfig::default()
    };
    let node = Node::start(config).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(1).await;
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests[0].delivery_id(), requests[1].delivery_id());
    assert_eq!(node.rows_when(webhook.id, 2).await.len(), 2, "both attempts were made and are logged");
    eventually("the slow one lost its lease", PATIENCE, || async { node.webhooks.metrics().lease_lost.get() == 1 })
        .await;
    assert_eq!(node.webhooks.metrics().delivered.get(), 1);
}
