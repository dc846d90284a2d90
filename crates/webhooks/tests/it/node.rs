//! One node's webhooks under test, on memory keepers and loopback.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{EventId, EventType, NodeId, Payload, Secret, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{PATIENCE, eventually};
use hookswitch_webhooks::{
    AddressPolicy, AttemptRow, DeliveryTarget, LogEntry, LogFilter, NewDeliveries, NewWebhook, Page, Seen, Webhook,
    WebhookConfig, WebhookInput, WebhookOptions, WebhookSeams, Webhooks, delivery_body,
};

pub(crate) const SECRET: &str = "shared secret";

/// The running machinery and what it runs on.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) webhooks: Webhooks,
    pub(crate) seams: WebhookSeams,
    pub(crate) clock: Clock,
    pub(crate) scope: Scope,
}

impl Node {
    pub(crate) async fn start(config: WebhookConfig) -> Self {
        let seams = WebhookSeams::memory(&Clock::system());
        Self::start_on(config, seams).await
    }

    pub(crate) async fn start_on(config: WebhookConfig, seams: WebhookSeams) -> Self {
        let (clock, scope) = (Clock::system(), Scope::root("test"));
        let node = NodeId::parse("node-1").expect("legal");
        let webhooks = Webhooks::start(config, loopback(), seams.clone(), node, clock.clone(), scope.clone()).await;
        Self { webhooks: webhooks.expect("the keepers answer"), seams, clock, scope }
    }

    pub(crate) async fn webhook(&self, url: &str) -> Webhook {
        self.webhook_with(url, WebhookInput::default()).await
    }

    pub(crate) async fn webhook_with(&self, url: &str, input: WebhookInput) -> Webhook {
        let input = WebhookInput {
            name: Some("test".to_owned()),
            url: Some(url.to_owned()),
            events: Some(vec!["call.*".to_owned()]),
            secret: Some(Secret::new(SECRET)),
            ..input
        };
        self.webhooks.create(&tenant(), input).await.expect("a good webhook")
    }

    /// A webhook with options, stored as by hand; it matches when this returns.
    pub(crate) async fn webhook_by_hand(&self, url: &str, options: WebhookOptions) -> Webhook {
        let row = NewWebhook {
            name: "by hand".to_owned(),
            url: url.to_owned(),
            events: vec!["call.*".to_owned()],
            secret: None,
            retry_count: 3,
            timeout_secs: 30,
            options,
        };
        let webhook = self.seams.directory.create(&tenant(), row).await.expect("memory");
        let matches = || self.matching(&tenant(), &EventType::CALL_INCOMING).contains(&webhook.id);
        eventually("the row is noticed", PATIENCE, || async { matches() }).await;
        webhook
    }

    /// The active webhooks that would get an event of this type.
    pub(crate) fn matching(&self, of: &TenantId, event_type: &EventType) -> Vec<WebhookId> {
        let targets = self.webhooks.targets(of, event_type, &Payload::empty(), self.clock.now());
        targets.iter().filter(|target| !target.is_missed).map(|target| target.webhook).collect()
    }

    /// Publishes `n` events to the webhooks that match.
    pub(crate) async fn publish(&self, n: usize) {
        let webhooks = self.matching(&tenant(), &EventType::CALL_INCOMING);
        self.publish_to(&webhooks, n).await;
    }

    pub(crate) async fn publish_to(&self, webhooks: &[WebhookId], n: usize) {
        self.publish_as(&tenant(), webhooks, n).await;
    }

    pub(crate) async fn publish_as(&self, of: &TenantId, webhooks: &[WebhookId], n: usize) {
        let new = |i| NewDeliveries { tenant: of.clone(), ..new_deliveries(self.clock.now(), webhooks, i) };
        let batch = (0..n).map(new).collect();
        let seen = self.webhooks.enqueue(batch).await.expect("the ledger answers");
        assert!(seen.iter().all(|one| *one == Seen::New));
    }

    /// The webhook's log rows, oldest first.
    pub(crate) async fn rows(&self, webhook: WebhookId) -> Vec<AttemptRow> {
        let (mut rows, mut page) = (Vec::new(), Page::first(10_000));
        loop {
            let listed = self.webhooks.logs(&tenant(), webhook, &LogFilter::default(), page).await;
            let listed = listed.expect("it is theirs");
            rows.extend(listed.rows.into_iter().filter_map(|entry| match entry {
                LogEntry::Attempt(logged) => Some(logged.row),
                LogEntry::Skip(_) => None,
            }));
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
        rows.reverse();
        rows
    }

    /// Waits until the webhook has this many log rows.
    pub(crate) async fn rows_when(&self, webhook: WebhookId, n: usize) -> Vec<AttemptRow> {
        eventually(&format!("{n} log rows"), PATIENCE, || async { self.rows(webhook).await.len() >= n }).await;
        self.rows(webhook).await
    }

    pub(crate) async fn stop(&self) -> bool {
        self.scope.shut_down(Duration::from_secs(5)).await
    }
}

/// Http to 127.0.0.0/8 is allowed, nothing else beyond the rules.
pub(crate) fn loopback() -> AddressPolicy {
    AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal")
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("tenant-1").expect("legal")
}

fn new_deliveries(now: Timestamp, webhooks: &[WebhookId], i: usize) -> NewDeliveries {
    NewDeliveries {
        tenant: tenant(),
        event_id: EventId::generate(now),
        event_type: EventType::CALL_INCOMING,
        body: body(now, i),
        accepted_at: now,
        targets: webhooks.iter().copied().map(DeliveryTarget::new).collect(),
        fingerprint: None,
    }
}

fn body(now: Timestamp, i: usize) -> Bytes {
    let payload = Payload::parse(&format!("{{\"n\": {i}}}")).expect("an object");
    delivery_body(&EventType::CALL_INCOMING, now, &payload)
}
