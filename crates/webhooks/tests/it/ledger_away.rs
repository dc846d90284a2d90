//! The database goes away in the middle and comes back, or has much to forget.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch_protocol::{EventId, EventType, NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::Clock;
use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::{
    Attempted, Backlog, BoxFuture, DeliveryLedger, DisableReason, DisableRule, DisabledWebhook, EventDelivery,
    Fingerprint, Lease, LeaseRequest, LeasedDelivery, LedgerError, NewDeliveries, Requeue, Requeued, Retention, Seen,
    Settled, Sweep, Swept, WebhookChange, WebhookConfig, WebhookSeams,
};

use tokio::time::timeout;

use crate::node::{Node, tenant};

/// A ledger that can be switched off, and can have more to purge than ever goes.
struct Switched {
    inner: Arc<dyn DeliveryLedger>,
    is_away: AtomicBool,
    purges_for_ever: bool,
    n_sweeps: AtomicU32,
    late: Mutex<Vec<DisabledWebhook>>,
}

impl Switched {
    /// Around the ledger of memory keepers, with the seams it stands among.
    fn in_memory(purges_for_ever: bool) -> (Arc<Self>, WebhookSeams) {
        let memory = WebhookSeams::memory(&Clock::system());
        let inner = Arc::clone(&memory.ledger);
        let (is_away, n_sweeps) = (AtomicBool::new(false), AtomicU32::new(0));
        let ledger = Arc::new(Self { inner, is_away, purges_for_ever, n_sweeps, late: Mutex::default() });
        (Arc::clone(&ledger), WebhookSeams { ledger, ..memory })
    }

    fn through<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&'a dyn DeliveryLedger) -> BoxFuture<'a, Result<T, LedgerError>>,
    ) -> BoxFuture<'a, Result<T, LedgerError>> {
        if self.is_away.load(Ordering::SeqCst) {
            let source = "switched off".into();
            return Box::pin(async { Err(LedgerError::Unavailable { operation: "test", source }) });
        }
        call(&*self.inner)
    }
}

impl DeliveryLedger for Switched {
    fn look_up<'a>(
        &'a self,
        tenant: &'a TenantId,
        ids: &'a [(EventId, Fingerprint)],
    ) -> BoxFuture<'a, Result<Vec<Seen>, LedgerError>> {
        self.through(|inner| inner.look_up(tenant, ids))
    }
    fn deliveries_of<'a>(
        &'a self,
        tenant: &'a TenantId,
        event: &'a EventId,
        accepted_at: Option<Timestamp>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<EventDelivery>, LedgerError>> {
        self.through(|inner| inner.deliveries_of(tenant, event, accepted_at, limit))
    }
    fn enqueue(&self, batch: Vec<NewDeliveries>) -> BoxFuture<'_, Result<Vec<Seen>, LedgerError>> {
        self.through(|inner| inner.enqueue(batch))
    }
    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>> {
        self.through(|inner| inner.backlog(now))
    }
    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>> {
        self.through(|inner| inner.lease(request))
    }
    fn finish(&self, results: Vec<Attempted>, rule: DisableRule) -> BoxFuture<'_, Result<Settled, LedgerError>> {
        self.through(|inner| inner.finish(results, rule))
    }
    fn take_disabled(&self) -> Vec<DisabledWebhook> {
        std::mem::take(&mut self.late.lock().expect("whole"))
    }
    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.through(|inner| inner.give_back(leases))
    }
    fn requeue(
        &self,
        webhook: WebhookId,
        which: Requeue,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Requeued, LedgerError>> {
        self.through(|inner| inner.requeue(webhook, which, now, limit))
    }
    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Result<Swept, LedgerError>> {
        self.n_sweeps.fetch_add(1, Ordering::SeqCst);
        self.through(|inner| inner.sweep(sweep))
    }
    fn reclaim<'a>(&'a self, node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>> {
        self.through(|inner| inner.reclaim(node))
    }
    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>> {
        if self.purges_for_ever {
            return Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(u64::from(retention.limit))
            });
        }
        self.through(|inner| inner.purge(retention))
    }
}

#[tokio::test]
async fn results_are_held_while_the_ledger_is_away_and_no_delivery_is_made_twice() {
    let receiver = Receiver::start([Behaviour::After(Duration::from_millis(300))]).await;
    let (ledger, seams) = Switched::in_memory(false);
    // Room for two results only: the others keep their slots until they are settled.
    let config = WebhookConfig { unsettled: 2, settle_batch: 2, ..WebhookConfig::default() };
    let node = Node::start_on(config, seams).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(30).await;
    receiver.wait_for(10).await;
    ledger.is_away.store(true, Ordering::SeqCst);
    eventually("all answers are held", PATIENCE, || async { node.webhooks.in_flight() == 0 }).await;
    let refused = node.webhooks.enqueue(Vec::new()).await.expect_err("the ledger is away");
    assert_eq!(refused.retry(), hookswitch_protocol::Retry::After(Duration::from_secs(1)));
    assert!(receiver.count() <= 20, "no more than its slots and the results let through: {}", receiver.count());
    ledger.is_away.store(false, Ordering::SeqCst);
    node.rows_when(webhook.id, 30).await;
    assert_eq!(receiver.count(), 30, "nothing was sent twice");
    eventually("all are settled", PATIENCE, || async { node.webhooks.metrics().delivered.get() == 30 }).await;
}

#[tokio::test]
async fn a_node_with_much_to_purge_goes_on_saying_that_it_lives() {
    let (ledger, seams) = Switched::in_memory(true);
    let often = Duration::from_millis(20);
    let config = WebhookConfig { sweep_interval: often, purge_interval: often, ..WebhookConfig::default() };
    let node = Node::start_on(config, seams).await;
    let n_sweeps = || async { ledger.n_sweeps.load(Ordering::SeqCst) >= 10 };
    eventually("sweeps in the middle of a purge", PATIENCE, n_sweeps).await;
    assert!(node.stop().await, "and it can be stopped");
}

#[tokio::test]
async fn leases_that_ran_out_while_the_ledger_was_away_are_settled_before_they_are_swept() {
    let receiver = Receiver::start([Behaviour::After(Duration::from_millis(300))]).await;
    let (ledger, seams) = Switched::in_memory(false);
    let config = WebhookConfig {
        settle_batch: 2,
        lease_hold: Duration::from_millis(600),
        sweep_interval: Duration::from_millis(5),
        ..WebhookConfig::default()
    };
    let node = Node::start_on(config, seams).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    node.publish(10).await;
    receiver.wait_for(10).await;
    ledger.is_away.store(true, Ordering::SeqCst);
    // All leases have run out then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    ledger.is_away.store(false, Ordering::SeqCst);
    node.rows_when(webhook.id, 10).await;
    eventually("all are settled", PATIENCE, || async { node.webhooks.metrics().delivered.get() == 10 }).await;
    assert_eq!((receiver.count(), node.webhooks.metrics().lease_lost.get()), (10, 0), "nothing was sent twice");
}

#[tokio::test]
async fn a_webhook_that_was_switched_off_late_is_announced_and_looked_at_again() {
    let (ledger, seams) = Switched::in_memory(false);
    let node = Node::start_on(WebhookConfig::default(), seams).await;
    let mut feed = node.webhooks.subscribe_disabled();
    let url = "http://127.0.0.1:9/";
    let [off, on] = [node.webhook(url).await, node.webhook(url).await];
    // Both were switched off while nobody looked, and one is on again by now.
    let at = node.clock.now();
    let reason = DisableReason::Gone;
    let mut late = Vec::new();
    for webhook in [&off, &on] {
        let disabled = node.seams.directory.disable(webhook.id, reason, at).await.expect("memory");
        late.extend(disabled.map(|webhook| DisabledWebhook { webhook, reason }));
    }
    let change = WebhookChange { is_active: Some(true), ..WebhookChange::default() };
    node.seams.directory.update(&tenant(), on.id, change).await.expect("memory");
    let is_matched = || async { node.matching(&tenant(), &EventType::CALL_INCOMING) == [on.id] };
    eventually("the table is as the directory", PATIENCE, is_matched).await;
    *ledger.late.lock().expect("whole") = late;
    for webhook in [&off, &on] {
        let notice = timeout(PATIENCE, feed.recv()).await.expect("in time").expect("a notice");
        assert_eq!((notice.webhook.id, notice.reason), (webhook.id, reason));
    }
    eventually("the one that is on again matches", PATIENCE, is_matched).await;
    assert_eq!(node.webhooks.metrics().disabled.get(), 2);
}
