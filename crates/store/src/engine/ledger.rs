//! The delivery ledger, kept in `webhook_events`, `webhook_deliveries` and `event_ids`.

use std::sync::Arc;

use hookswitch_protocol::{EventId, NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    Attempted, Backlog, BoxFuture, DeliveryLedger, DisableRule, DisabledWebhook, EventDelivery, Fingerprint, Lease,
    LeaseRequest, LeasedDelivery, LedgerError, NewDeliveries, Requeue, Requeued, Retention, Seen, Settled, Sweep,
    Swept,
};

use super::Store;
use super::queries::enqueue::AcceptedEvent;
use super::queries::event_ids::KnownIds;
use super::queries::{deliveries, event_deliveries, lease, purge, requeue};
use super::writer::Job;
use crate::error::Failure;
use crate::weight::{Caller, Weight};

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
            let weight = batch.iter().fold(Weight::default(), |sum, event| sum + event.weight());
            let caller = batch.first().map_or(Caller::Node, |event| Caller::Tenant(event.tenant().clone()));
            let stored = self.inner.acceptance.merge((caller, weight), batch, Job::Enqueue).await;
            stored.map_err(|failure| failure.ledger("enqueue deliveries"))
        })
    }

    fn deliveries_of<'a>(
        &'a self,
        tenant: &'a TenantId,
        event: &'a EventId,
        accepted_at: Option<Timestamp>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<EventDelivery>, LedgerError>> {
        let (asker, tenant, event) = (Some(tenant.clone()), tenant.clone(), event.clone());
        let query = move |conn: &mut _| event_deliveries::deliveries_of(conn, &tenant, &event, accepted_at, limit);
        self.inner.readers.reports.read_as(Failure::ledger, "read an event's deliveries", asker, query)
    }

    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>> {
        let query = move |conn: &mut _| deliveries::backlog(conn, now);
        self.inner.readers.upkeep.read_as(Failure::ledger, "read the backlog", None, query)
    }

    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>> {
        Box::pin(async move {
            let n_wished: u32 = request.wishes.iter().map(|wish| wish.fresh + wish.retries).sum();
            let turn = (Caller::Node, Weight::of_rows(n_wished as usize));
            let (columns, endings) = (Arc::clone(&self.inner.columns), Arc::clone(&self.inner.chores.endings));
            let work = move |conn: &mut _| lease::lease(conn, &columns, &request);
            let after = move |granted: &lease::Granted| endings.note(&granted.to_end);
            let granted = self.inner.dispatch.call_then(turn, work, after).await;
            granted.map(|granted| granted.leased).map_err(|failure| failure.ledger("lease deliveries"))
        })
    }

    fn finish(&self, results: Vec<Attempted>, rule: DisableRule) -> BoxFuture<'_, Result<Settled, LedgerError>> {
        Box::pin(async move { self.settle(results, rule).await.map_err(|failure| failure.ledger("settle attempts")) })
    }

    fn take_disabled(&self) -> Vec<DisabledWebhook> {
        self.inner.chores.owed.take_disabled()
    }

    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>> {
        let turn = (Caller::Node, Weight::of_rows(leases.len()));
        let work = move |conn: &mut _| deliveries::give_back(conn, &leases);
        self.inner.dispatch.call_as(Failure::ledger, "give leases back", turn, work)
    }

    fn requeue(
        &self,
        webhook: WebhookId,
        which: Requeue,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Requeued, LedgerError>> {
        let turn = (Caller::Chores, Weight::of_rows(limit as usize));
        let work = move |conn: &mut _| requeue::requeue(conn, webhook, &which, now, limit);
        self.inner.dispatch.call_as(Failure::ledger, "requeue deliveries", turn, work)
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Result<Swept, LedgerError>> {
        let seen = Arc::clone(&self.inner.liveness);
        let work = move |conn: &mut _| deliveries::sweep(conn, &sweep, &seen);
        self.inner.dispatch.call_as(Failure::ledger, "sweep leases", (Caller::Node, Weight::LIGHT), work)
    }

    fn reclaim<'a>(&'a self, node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>> {
        let (node, ended) = (node.clone(), self.inner.ended_nodes.clone());
        let work = move |conn: &mut _| deliveries::reclaim(conn, &node, &ended);
        self.inner.dispatch.call_as(Failure::ledger, "reclaim leases", (Caller::Node, Weight::LIGHT), work)
    }

    /// In steps of as many rows as take little time, each a transaction of its own.
    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>> {
        Box::pin(async move {
            let most = retention.limit as usize;
            let mut n_gone = 0;
            while n_gone < most {
                let step = move |conn: &mut _, limit: i64| {
                    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                    purge::purge(conn, Retention { limit, ..retention }).map(|n_rows| n_rows as usize)
                };
                let stepped = self.inner.chore(&self.inner.chores.purging, most - n_gone, step).await;
                let (n_rows, has_more) = stepped.map_err(|failure| failure.ledger("purge ended deliveries"))?;
                n_gone += n_rows;
                if !has_more {
                    break;
                }
            }
            Ok(n_gone as u64)
        })
    }
}
