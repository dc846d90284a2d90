//! What the three webhook suites share: a keeper with a clock, and short words for its calls.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{EventId, EventType, NodeId, Secret, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{
    AttemptRow, Attempted, Fingerprint, Finished, LeaseRequest, LeaseWish, LeasedDelivery, NewDuty, NewWebhook, Page,
    Seen, Verdict, Webhook, WebhookSeams,
};

pub(super) const START: Timestamp = Timestamp::from_millis(1_761_393_600_000);

/// How long the suites' leases hold.
pub(super) const HOLD: Duration = Duration::from_mins(3);

/// The whole of a list.
pub(super) const ALL: Page = Page { offset: 0, limit: 1_000 };

/// A fresh keeper and the clock it goes by.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) seams: WebhookSeams,
    pub(super) clock: Clock,
}

impl Rig {
    pub(super) async fn open(open: &impl AsyncFn(Clock) -> WebhookSeams) -> Self {
        let clock = Clock::manual(START);
        Self { seams: open(clock.clone()).await, clock }
    }

    pub(super) async fn webhook(&self, of: &str) -> Webhook {
        self.seams.directory.create(&tenant(of), new_webhook("w")).await.expect("create")
    }

    /// Stores one duty per id, each for all these webhooks.
    pub(super) async fn enqueue(&self, of: &str, ids: &[&str], webhooks: &[WebhookId]) {
        let batch = ids.iter().map(|id| duty(of, id, webhooks, self.clock.now())).collect();
        let seen = self.seams.ledger.enqueue(batch).await.expect("enqueue");
        assert_eq!(seen, vec![Seen::New; ids.len()], "events without a chosen id are new");
    }

    pub(super) async fn lease(&self, wishes: &[(WebhookId, u32, u32)]) -> Vec<LeasedDelivery> {
        let wishes = wishes.iter().map(|(webhook, fresh, retries)| LeaseWish {
            webhook: *webhook,
            fresh: *fresh,
            retries: *retries,
        });
        let request = LeaseRequest { by: node("node-1"), now: self.clock.now(), hold: HOLD, wishes: wishes.collect() };
        self.seams.ledger.lease(request).await.expect("lease")
    }

    /// The one delivery that is due.
    pub(super) async fn lease_one(&self, webhook: WebhookId) -> LeasedDelivery {
        let mut leased = self.lease(&[(webhook, 10, 10)]).await;
        assert_eq!(leased.len(), 1, "exactly one delivery is due: {leased:?}");
        leased.remove(0)
    }

    pub(super) async fn finish(&self, leased: &LeasedDelivery, verdict: Verdict) -> Finished {
        let answers = self.seams.ledger.finish(vec![self.attempted(leased, verdict)]).await.expect("finish");
        assert_eq!(answers.len(), 1, "one answer per attempt");
        answers[0]
    }

    pub(super) fn attempted(&self, leased: &LeasedDelivery, verdict: Verdict) -> Attempted {
        let code = if verdict == Verdict::Delivered { 200 } else { 500 };
        let row = AttemptRow { attempt: leased.attempt, ..row(leased.webhook.id, Some(code), self.clock.now()) };
        Attempted { lease: leased.lease.clone(), row, verdict }
    }

    pub(super) async fn n_rows(&self, webhook: WebhookId) -> u64 {
        self.seams.log.rows(webhook, ALL).await.expect("rows").total
    }
}

pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal tenant")
}

pub(super) fn node(name: &str) -> NodeId {
    NodeId::parse(name).expect("legal node")
}

pub(super) fn event_id(id: &str) -> EventId {
    EventId::parse(id).expect("legal id")
}

pub(super) fn new_webhook(name: &str) -> NewWebhook {
    NewWebhook {
        name: name.to_owned(),
        url: "https://example.com/hook".to_owned(),
        events: vec!["call.incoming".to_owned(), "queue.*".to_owned()],
        secret: Some(Secret::new("shared")),
        retry_count: 3,
        timeout_secs: 30,
    }
}

/// A duty whose id the publisher did not choose.
pub(super) fn duty(of: &str, id: &str, webhooks: &[WebhookId], at: Timestamp) -> NewDuty {
    NewDuty {
        tenant: tenant(of),
        event_id: event_id(id),
        event_type: EventType::CALL_INCOMING,
        body: Bytes::from(format!("{{\"data\":\"{id}\"}}")),
        accepted_at: at,
        webhooks: webhooks.to_vec(),
        fingerprint: None,
    }
}

/// The same with a chosen id and this content.
pub(super) fn chosen(of: &str, id: &str, content: u8, webhooks: &[WebhookId], at: Timestamp) -> NewDuty {
    NewDuty { fingerprint: Some(Fingerprint([content; 32])), ..duty(of, id, webhooks, at) }
}

pub(super) fn row(webhook: WebhookId, code: Option<u16>, at: Timestamp) -> AttemptRow {
    AttemptRow {
        webhook,
        event_type: EventType::CALL_INCOMING,
        body: Bytes::from_static(br#"{"event":"call.incoming","timestamp":1,"data":{}}"#),
        response_code: code,
        response_body: code.map(|_| "said".to_owned()),
        error: code.is_none().then(|| "timeout: not done within the time limit".to_owned()),
        duration_ms: 40,
        attempt: 1,
        at,
    }
}
