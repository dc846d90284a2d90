//! The delivery ledger, kept in `webhook_events`, `webhook_deliveries` and `event_ids`.

use std::sync::Arc;

use hookswitch_protocol::{EventId, NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    Attempted, Backlog, BoxFuture, DeliveryLedger, DisableRule, Fingerprint, Lease, LeaseRequest, LeasedDelivery,
    LedgerError, NewDeliveries, Requeue, Requeued, Retention, Seen, Settled, Sweep, Swept,
};

use super::Store;
use super::queries::enqueue::AcceptedEvent;
use super::queries::event_ids::KnownIds;
use super::queries::{deliveries, lease, purge, requeue};
use super::writer::Job;
use crate::error::Failure;

impl DeliveryLedger for Store {
    fn look_up<'a>(
        &'a self,
        tenant: &'a TenantId,
        ids: &'a [(EventId, Fingerprint)],
    ) -> BoxFuture<'a, Result<Vec<Seen>, LedgerError>> {
        let (asker, tenant) = (Some(tenant.clone()), tenant.clone());
        let (ids, now) = (ids.to_vec(), self.inner.clock.now());
        self.inner.readers.event_ids.read_as(Failure::ledger, "look up event ids", asker, move |conn| {
            let wanted: Vec<&EventId> = ids.iter().map(|(id, _)| id).collect();
            let known = KnownIds::load(conn, &tenant, &wanted)?;
            Ok(ids.iter().map(|(id, content)| known.look_up(&tenant, id, *content, now)).collect())
        })
    }

    fn enqueue(&self, batch: Vec<NewDeliveries>) -> BoxFuture<'_, Result<Vec<Seen>, LedgerError>> {
        let batch: Vec<AcceptedEvent> = batch.into_iter().map(AcceptedEvent::from).collect();
        Box::pin(async move {
            let stored = self.inner.acceptance.merge(batch, Job::Enqueue).await;
            stored.map_err(|failure| failure.ledger("enqueue deliveries"))
        })
    }

    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>> {
        let query = move |conn: &mut _| deliveries::backlog(conn, now);
        self.inner.readers.upkeep.read_as(Failure::ledger, "read the backlog", None, query)
    }

    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>> {
        let codec = self.inner.codec.clone();
        let work = move |conn: &mut _| lease::lease(conn, &codec, &request);
        self.inner.dispatch.call_as(Failure::ledger, "lease deliveries", work)
    }

    fn finish(&self, results: Vec<Attempted>, rule: DisableRule) -> BoxFuture<'_, Result<Settled, LedgerError>> {
        Box::pin(async move {
            let settled = self.inner.dispatch.merge((results, rule), Job::Finish).await;
            settled.map_err(|failure| failure.ledger("settle attempts"))
        })
    }

    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.inner
            .dispatch
            .call_as(Failure::ledger, "give leases back", move |conn| deliveries::give_back(conn, &leases))
    }

    fn requeue(
        &self,
        webhook: WebhookId,
        which: Requeue,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Requeued, LedgerError>> {
        self.inner.dispatch.call_as(Failure::ledger, "requeue deliveries", move |conn| {
            requeue::requeue(conn, webhook, &which, now, limit)
        })
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Result<Swept, LedgerError>> {
        let seen = Arc::clone(&self.inner.liveness);
        let work = move |conn: &mut _| deliveries::sweep(conn, &sweep, &seen);
        self.inner.dispatch.call_as(Failure::ledger, "sweep leases", work)
    }

    fn reclaim<'a>(&'a self, node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>> {
        let node = node.clone();
        self.inner.dispatch.call_as(Failure::ledger, "reclaim leases", move |conn| deliveries::reclaim(conn, &node))
    }

    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>> {
        self.inner
            .dispatch
            .call_as(Failure::ledger, "purge ended deliveries", move |conn| purge::purge(conn, retention))
    }
}
