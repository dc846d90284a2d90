//! The delivery ledger, kept in `webhook_events`, `webhook_deliveries` and `event_ids`.

use std::sync::Arc;

use hookswitch_protocol::{EventId, NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    Attempted, Backlog, BoxFuture, DeliveryLedger, DisableRule, Fingerprint, Lease, LeaseRequest, LeasedDelivery,
    LedgerError, NewDeliveries, Requeue, Requeued, Retention, Seen, Settled, Sweep, Swept,
};

use super::Store;
use super::queries::enqueue::Duty;
use super::queries::event_ids::Known;
use super::queries::{deliveries, lease, purge, requeue};
use super::writer::Job;

impl DeliveryLedger for Store {
    fn look_up<'a>(
        &'a self,
        tenant: &'a TenantId,
        ids: &'a [(EventId, Fingerprint)],
    ) -> BoxFuture<'a, Result<Vec<Seen>, LedgerError>> {
        let (tenant, ids, now) = (tenant.clone(), ids.to_vec(), self.inner.clock.now());
        Box::pin(async move {
            let query = move |conn: &mut _| {
                let wanted: Vec<&EventId> = ids.iter().map(|(id, _)| id).collect();
                let known = Known::load(conn, &tenant, &wanted)?;
                Ok(ids.iter().map(|(id, content)| known.look_up(&tenant, id, *content, now)).collect())
            };
            self.inner.readers.read(query).await.map_err(|failure| failure.ledger("look up event ids"))
        })
    }

    fn enqueue(&self, batch: Vec<NewDeliveries>) -> BoxFuture<'_, Result<Vec<Seen>, LedgerError>> {
        let batch: Vec<Duty> = batch.into_iter().map(Duty::from).collect();
        Box::pin(async move {
            let stored = self.inner.acceptance.merge(batch, Job::Enqueue).await;
            stored.map_err(|failure| failure.ledger("enqueue deliveries"))
        })
    }

    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>> {
        Box::pin(async move {
            let query = move |conn: &mut _| deliveries::backlog(conn, now);
            self.inner.readers.read(query).await.map_err(|failure| failure.ledger("read the backlog"))
        })
    }

    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>> {
        Box::pin(async move {
            let codec = self.inner.codec.clone();
            let work = move |conn: &mut _| lease::lease(conn, &codec, &request);
            self.inner.dispatch.call(work).await.map_err(|failure| failure.ledger("lease deliveries"))
        })
    }

    fn finish(&self, results: Vec<Attempted>, rule: DisableRule) -> BoxFuture<'_, Result<Settled, LedgerError>> {
        Box::pin(async move {
            let settled = self.inner.dispatch.merge((results, rule), Job::Finish).await;
            settled.map_err(|failure| failure.ledger("settle attempts"))
        })
    }

    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| deliveries::give_back(conn, &leases);
            self.inner.dispatch.call(work).await.map_err(|failure| failure.ledger("give leases back"))
        })
    }

    fn requeue(
        &self,
        webhook: WebhookId,
        which: Requeue,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Requeued, LedgerError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| requeue::requeue(conn, webhook, &which, now, limit);
            self.inner.dispatch.call(work).await.map_err(|failure| failure.ledger("requeue deliveries"))
        })
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Result<Swept, LedgerError>> {
        Box::pin(async move {
            let seen = Arc::clone(&self.inner.sightings);
            let work = move |conn: &mut _| deliveries::sweep(conn, &sweep, &seen);
            self.inner.dispatch.call(work).await.map_err(|failure| failure.ledger("sweep leases"))
        })
    }

    fn reclaim<'a>(&'a self, node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>> {
        let node = node.clone();
        Box::pin(async move {
            let work = move |conn: &mut _| deliveries::reclaim(conn, &node);
            self.inner.dispatch.call(work).await.map_err(|failure| failure.ledger("reclaim leases"))
        })
    }

    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| purge::purge(conn, retention);
            self.inner.dispatch.call(work).await.map_err(|failure| failure.ledger("purge ended deliveries"))
        })
    }
}
