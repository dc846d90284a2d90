//! What the three webhook suites share: a keeper with a clock, and short words for its calls.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventId, EventType, NodeId, Secret, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_webhooks::{
    AttemptRow, Attempted, DeliveryTarget, DisableRule, Disposition, Fingerprint, Finished, LEASE_BYTES, LeaseRequest,
    LeaseWish, LeasedDelivery, LogEntry, LogFilter, NewDeliveries, NewWebhook, Page, Requeue, Requeued, Seen, Settled,
    SkipRow, Sweep, Swept, Timings, Webhook, WebhookChange, WebhookOptions, WebhookSeams,
};

pub(super) const START: Timestamp = Timestamp::from_millis(1_761_393_600_000);

/// How long the suites' leases hold.
pub(super) const HOLD: Duration = Duration::from_mins(3);

/// After how much silence the suites take a node for dead.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(20);

/// The whole of a list.
pub(super) const ALL: Page = Page::first(1_000);

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
        let request = LeaseRequest {
            by: node("node-1"),
            now: self.clock.now(),
            hold: HOLD,
            n_bytes: LEASE_BYTES,
            wishes: wishes.collect(),
        };
        self.seams.ledger.lease(request).await.expect("lease")
    }

    /// The one delivery that is due.
    pub(super) async fn lease_one(&self, webhook: WebhookId) -> LeasedDelivery {
        let mut leased = self.lease(&[(webhook, 10, 10)]).await;
        assert_eq!(leased.len(), 1, "exactly one delivery is due: {leased:?}");
        leased.remove(0)
    }

    pub(super) async fn finish(&self, leased: &LeasedDelivery, disposition: Disposition) -> Finished {
        let settled = self.settle(vec![self.attempted(leased, disposition)]).await;
        assert_eq!(settled.finished.len(), 1, "one answer per attempt");
        settled.finished[0]
    }

    /// Settles under a rule that switches off after a minute and three failures.
    pub(super) async fn settle(&self, results: Vec<Attempted>) -> Settled {
        let rule = DisableRule { after: Duration::from_mins(1), n_failures: 3 };
        self.seams.ledger.finish(results, rule).await.expect("finish")
    }

    pub(super) async fn sweep(&self) -> Swept {
        let sweep = Sweep { by: node("node-1"), now: self.clock.now(), dead_after: DEAD_AFTER };
        self.seams.ledger.sweep(sweep).await.expect("sweep")
    }

    pub(super) async fn requeue(&self, webhook: WebhookId, which: Requeue) -> Requeued {
        self.seams.ledger.requeue(webhook, which, self.clock.now(), 100).await.expect("requeue")
    }

    /// The webhook's skip rows, oldest first.
    pub(super) async fn skips(&self, webhook: WebhookId) -> Vec<SkipRow> {
        let filter = LogFilter { with_skips: true, ..LogFilter::default() };
        let listed = self.seams.log.entries(&tenant("a"), webhook, &filter, ALL).await.expect("entries");
        let skips = listed.rows.into_iter().rev().filter_map(|entry| match entry {
            LogEntry::Skip(logged) => Some(logged.row),
            LogEntry::Attempt(_) => None,
        });
        skips.collect()
    }

    pub(super) async fn get(&self, of: &str, id: WebhookId) -> Webhook {
        self.seams.directory.get(&tenant(of), id).await.expect("get").expect("it is theirs")
    }

    pub(super) async fn switch(&self, of: &str, id: WebhookId, is_active: bool) -> Webhook {
        let change = WebhookChange { is_active: Some(is_active), ..WebhookChange::default() };
        self.seams.directory.update(&tenant(of), id, change).await.expect("update").expect("it is theirs")
    }

    pub(super) fn attempted(&self, leased: &LeasedDelivery, disposition: Disposition) -> Attempted {
        let code = match disposition {
            Disposition::Delivered => Some(200),
            Disposition::Gone => Some(410),
            Disposition::Failed | Disposition::RetryAt(_) => Some(500),
            Disposition::Postponed(_) => None,
        };
        let row = AttemptRow {
            attempt: leased.attempt,
            delivery: Some(leased.delivery.clone()),
            ..row(leased.webhook.id, code, self.clock.now())
        };
        let judged = (!matches!(disposition, Disposition::Postponed(_))).then(|| leased.webhook.clone());
        Attempted { lease: leased.lease.clone(), row, disposition, judged }
    }

    pub(super) async fn n_rows(&self, webhook: WebhookId) -> u64 {
        self.seams.log.entries(&tenant("a"), webhook, &LogFilter::default(), ALL).await.expect("entries").total
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
        options: WebhookOptions::default(),
    }
}

/// A duty whose id the publisher did not choose.
pub(super) fn duty(of: &str, id: &str, webhooks: &[WebhookId], at: Timestamp) -> NewDeliveries {
    NewDeliveries {
        tenant: tenant(of),
        event_id: event_id(id),
        event_type: EventType::CALL_INCOMING,
        body: Bytes::from(format!("{{\"data\":\"{id}\"}}")),
        accepted_at: at,
        targets: webhooks.iter().copied().map(DeliveryTarget::new).collect(),
        fingerprint: None,
    }
}

/// The same with a chosen id and this content.
pub(super) fn chosen(of: &str, id: &str, content: u8, webhooks: &[WebhookId], at: Timestamp) -> NewDeliveries {
    NewDeliveries { fingerprint: Some(Fingerprint([content; 32])), ..duty(of, id, webhooks, at) }
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
        delivery: Some(DeliveryId::parse("msg_1").expect("legal")),
        timings: Timings { connect_ms: Some(3), first_byte_ms: Some(30), ..Timings::default() },
        at,
    }
}
