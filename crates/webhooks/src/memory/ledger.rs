//! Deliveries in memory.

use std::collections::HashMap;
use std::time::Duration;

use hookswitch_protocol::{EventId, NodeId, TenantId, Timestamp, WebhookId};

use super::{DELIVERIES, MemoryWebhooks, State, Waiting};
use crate::health::DisableRule;
use crate::seams::event_delivery::EventDelivery;
use crate::seams::ledger::{
    Attempted, Backlog, DeliveryLedger, DueWebhook, Fingerprint, Lease, LeaseRequest, LeasedDelivery, LedgerError,
    NewDeliveries, Requeue, Requeued, Retention, Seen, Settled, Sweep, Swept,
};
use hookswitch_runtime::BoxFuture;

/// How long a chosen event id is remembered.
const REMEMBERED: Duration = Duration::from_hours(24);

impl DeliveryLedger for MemoryWebhooks {
    fn look_up<'a>(
        &'a self,
        tenant: &'a TenantId,
        ids: &'a [(EventId, Fingerprint)],
    ) -> BoxFuture<'a, Result<Vec<Seen>, LedgerError>> {
        self.locked(move |state, now| Ok(ids.iter().map(|(id, print)| state.seen(tenant, id, *print, now)).collect()))
    }

    fn enqueue(&self, batch: Vec<NewDeliveries>) -> BoxFuture<'_, Result<Vec<Seen>, LedgerError>> {
        self.locked(move |state, now| state.enqueue(&batch, now))
    }

    fn deliveries_of<'a>(
        &'a self,
        tenant: &'a TenantId,
        event: &'a EventId,
        accepted_at: Option<Timestamp>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<EventDelivery>, LedgerError>> {
        self.locked(move |state, _| Ok(state.deliveries_of(tenant, event, accepted_at, limit)))
    }

    fn backlog(&self, now: Timestamp) -> BoxFuture<'_, Result<Backlog, LedgerError>> {
        self.locked(move |state, _| Ok(state.backlog(now)))
    }

    fn lease(&self, request: LeaseRequest) -> BoxFuture<'_, Result<Vec<LeasedDelivery>, LedgerError>> {
        self.locked(move |state, _| Ok(request.wishes.iter().flat_map(|wish| state.lease(*wish, &request)).collect()))
    }

    fn finish(&self, results: Vec<Attempted>, rule: DisableRule) -> BoxFuture<'_, Result<Settled, LedgerError>> {
        self.locked(move |state, _| Ok(state.settle(results, &rule)))
    }

    fn give_back(&self, leases: Vec<Lease>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.locked(move |state, _| {
            for lease in &leases {
                if state.held(lease).is_some() {
                    state.make_waiting(lease.number);
                }
            }
            Ok(())
        })
    }

    fn requeue(
        &self,
        webhook: WebhookId,
        which: Requeue,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Requeued, LedgerError>> {
        self.locked(move |state, _| Ok(state.requeue(webhook, &which, now, limit)))
    }

    fn sweep(&self, sweep: Sweep) -> BoxFuture<'_, Result<Swept, LedgerError>> {
        // Memory belongs to one process, so no other node can be dead.
        self.locked(move |state, _| {
            Ok(Swept { n_leases: state.give_back_while(|until| until < sweep.now), n_nodes: 1 })
        })
    }

    fn reclaim<'a>(&'a self, _node: &'a NodeId) -> BoxFuture<'a, Result<u64, LedgerError>> {
        // Memory belongs to one process, so every lease is one of its own.
        self.locked(|state, _| Ok(state.give_back_while(|_| true)))
    }

    fn purge(&self, retention: Retention) -> BoxFuture<'_, Result<u64, LedgerError>> {
        self.locked(move |state, _| Ok(state.purge(retention)))
    }
}

impl State {
    fn seen(&self, tenant: &TenantId, id: &EventId, print: Fingerprint, now: Timestamp) -> Seen {
        match self.seen.get(&(tenant.clone(), id.clone())) {
            Some((_, at)) if now.since(*at) > REMEMBERED => Seen::New,
            Some((known, _)) if *known == print => Seen::Repeated,
            Some(_) => Seen::Conflict,
            None => Seen::New,
        }
    }

    fn enqueue(&mut self, batch: &[NewDeliveries], now: Timestamp) -> Result<Vec<Seen>, LedgerError> {
        let mut in_batch = HashMap::new();
        let answers: Vec<Seen> = batch.iter().map(|new| self.judge(new, &mut in_batch, now)).collect();
        if answers.contains(&Seen::Conflict) {
            return Ok(answers);
        }
        let n_new: usize = batch.iter().map(|new| new.targets.len()).sum();
        if self.n_open() + n_new > DELIVERIES {
            let source = format!("{DELIVERIES} deliveries are waiting in memory").into();
            return Err(LedgerError::Unavailable { operation: "enqueue", source });
        }
        for (new, _) in batch.iter().zip(&answers).filter(|(_, seen)| **seen == Seen::New) {
            if let Some(print) = new.fingerprint {
                self.seen.insert((new.tenant.clone(), new.event_id.clone()), (print, now));
            }
            for target in &new.targets {
                self.add_delivery(new, target, now);
            }
        }
        Ok(answers)
    }

    /// What is known of an event's id, the earlier ones of the same batch included.
    fn judge<'a>(
        &self,
        new: &'a NewDeliveries,
        in_batch: &mut HashMap<(&'a TenantId, &'a EventId), Fingerprint>,
        now: Timestamp,
    ) -> Seen {
        let Some(print) = new.fingerprint else { return Seen::New };
        match in_batch.insert((&new.tenant, &new.event_id), print) {
            Some(earlier) if earlier == print => Seen::Repeated,
            Some(_) => Seen::Conflict,
            None => self.seen(&new.tenant, &new.event_id, print, now),
        }
    }

    fn backlog(&self, now: Timestamp) -> Backlog {
        let mut backlog = Backlog::default();
        for (webhook, waiting) in &self.waiting {
            let first = [waiting.fresh.first(), waiting.retries.first()].map(|first| first.map(|(due, _)| *due));
            let [has_fresh, has_retry] = first.map(|due| due.is_some_and(|due| due <= now));
            if let (true, Some(known)) = (has_fresh || has_retry, self.webhooks.get(webhook)) {
                let tenant = known.webhook.tenant.clone();
                backlog.due.push(DueWebhook { webhook: *webhook, tenant, has_fresh, has_retry });
            }
            let later = waiting.next_after(now);
            backlog.next_due = [backlog.next_due, later].into_iter().flatten().min();
        }
        backlog
    }

    fn give_back_while(&mut self, is_over: impl Fn(Timestamp) -> bool) -> u64 {
        let over: Vec<i64> = self.leased.iter().take_while(|(until, _)| is_over(*until)).map(|(_, n)| *n).collect();
        for number in &over {
            self.make_waiting(*number);
        }
        over.len() as u64
    }

    fn purge(&mut self, retention: Retention) -> u64 {
        let limit = retention.limit as usize;
        let oldest = retention.now.before(retention.ended);
        let rows: Vec<i64> =
            self.rows.values().filter(|logged| logged.row.at < oldest).map(|logged| logged.id).take(limit).collect();
        for id in &rows {
            self.rows.remove(id);
        }
        let forget = retention.now.before(REMEMBERED);
        let ids = self.seen.iter().filter(|(_, (_, at))| *at < forget).map(|(key, _)| key.clone());
        let ids: Vec<_> = ids.take(limit - rows.len()).collect();
        for id in &ids {
            self.seen.remove(id);
        }
        let skips = self.skips.values().filter(|logged| logged.row.at < oldest).map(|logged| logged.id);
        let skips: Vec<i64> = skips.take(limit - rows.len() - ids.len()).collect();
        for id in &skips {
            self.skips.remove(id);
        }
        (rows.len() + ids.len() + skips.len()) as u64
    }
}

impl Waiting {
    /// The first moment after `now` at which something comes due.
    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let after = (now.after(Duration::from_millis(1)), i64::MIN);
        let first =
            |kind: &std::collections::BTreeSet<(Timestamp, i64)>| kind.range(after..).next().map(|(due, _)| *due);
        [first(&self.fresh), first(&self.retries)].into_iter().flatten().min()
    }
}
