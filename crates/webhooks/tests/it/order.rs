//! Deliveries of one call arrive in order, and calls do not hold up one another.

use std::collections::HashMap;

use hookswitch_protocol::{EventId, EventType, Payload};
use hookswitch_testkit::{Behaviour, Receiver};
use hookswitch_webhooks::{NewDeliveries, OrderedBy, WebhookConfig, WebhookOptions, delivery_body};

use crate::node::{Node, tenant};

const EVENTS: usize = 5;

fn ordered() -> WebhookOptions {
    WebhookOptions { ordered_by: Some(OrderedBy::Call), ..WebhookOptions::default() }
}

/// The `n`th event of a call, for every webhook that wants it.
fn new_deliveries(node: &Node, call: &str, n: usize) -> NewDeliveries {
    let now = node.clock.now();
    let payload = Payload::parse(&format!(r#"{{"unique_id":"{call}","n":{n}}}"#)).expect("an object");
    NewDeliveries {
        tenant: tenant(),
        event_id: EventId::generate(now),
        event_type: EventType::CALL_INCOMING,
        body: delivery_body(&EventType::CALL_INCOMING, now, &payload),
        accepted_at: now,
        targets: node.webhooks.targets(&tenant(), &EventType::CALL_INCOMING, &payload, now),
        fingerprint: None,
    }
}

/// Call and number of everything that arrived, in order of arrival.
fn arrived(receiver: &Receiver) -> Vec<(String, u64)> {
    let requests = receiver.requests();
    let data = requests.iter().map(|request| request.json()["data"].clone());
    data.map(|data| (data["unique_id"].as_str().expect("a call").to_owned(), data["n"].as_u64().expect("n"))).collect()
}

#[tokio::test]
async fn a_call_keeps_its_order_over_a_retry_and_the_others_do_not_wait_for_it() {
    let receiver = Receiver::start([Behaviour::status(500), Behaviour::status(200)]).await;
    let node = Node::start(WebhookConfig::default()).await;
    node.webhook_by_hand(&receiver.url("/"), ordered()).await;
    // The first event of the unlucky call meets the 500 and comes again after two seconds.
    node.webhooks.enqueue(vec![new_deliveries(&node, "unlucky", 0)]).await.expect("memory");
    receiver.wait_for(1).await;
    let calls: Vec<String> = (0..20).map(|call| format!("call-{call}")).collect();
    let mut batch: Vec<NewDeliveries> = (1..EVENTS).map(|n| new_deliveries(&node, "unlucky", n)).collect();
    batch.extend(
        (0..EVENTS)
            .flat_map(|n| calls.iter().map(move |call| (call, n)))
            .map(|(call, n)| new_deliveries(&node, call, n)),
    );
    node.webhooks.enqueue(batch).await.expect("memory");
    let n_all = 1 + (calls.len() + 1) * EVENTS;
    receiver.wait_for(n_all).await;
    let arrived = arrived(&receiver);
    assert_eq!(arrived.len(), n_all, "nothing twice but the one that failed");
    let of_unlucky: Vec<usize> = (0..n_all).filter(|at| arrived[*at].0 == "unlucky").collect();
    assert_eq!(of_unlucky[1], 1 + calls.len() * EVENTS, "all others came within the two seconds of its pause");
    let mut next: HashMap<&str, u64> = HashMap::new();
    for (call, n) in &arrived[1..] {
        let wanted = next.entry(call).or_default();
        assert_eq!((n, call), (&*wanted, call), "{arrived:?}");
        *wanted += 1;
    }
}

#[tokio::test]
async fn a_long_call_goes_as_fast_as_its_receiver() {
    let receiver = Receiver::healthy().await;
    // Nothing is found by asking slowly.
    let config = WebhookConfig { poll_interval: std::time::Duration::from_mins(1), ..WebhookConfig::default() };
    let node = Node::start(config).await;
    node.webhook_by_hand(&receiver.url("/"), ordered()).await;
    let batch = (0..100).map(|n| new_deliveries(&node, "one", n)).collect();
    node.webhooks.enqueue(batch).await.expect("memory");
    receiver.wait_for(100).await;
    assert!(arrived(&receiver).iter().map(|(_, n)| *n).eq(0..100));
}
