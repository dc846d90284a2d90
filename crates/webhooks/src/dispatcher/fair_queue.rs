//! A fair queue: tenants take turns, and the webhooks of a tenant take turns.

use std::collections::{HashMap, HashSet, VecDeque};

use hookswitch_protocol::{TenantId, WebhookId};

/// The queue. A webhook stands in it at most once; its owner sees to that.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// Tenants with a webhook queued that are not held back, in the order of their turns, each once.
    tenants: VecDeque<TenantId>,
    /// The webhooks queued, per tenant.
    queues: HashMap<TenantId, VecDeque<WebhookId>>,
    held_back: HashSet<TenantId>,
    n: usize,
}

impl FairQueue {
    /// Webhooks queued, those of tenants that are held back included.
    pub(super) fn len(&self) -> usize {
        self.n
    }

    /// Whether anybody's turn could come now.
    pub(super) fn has_next(&self) -> bool {
        !self.tenants.is_empty()
    }

    /// Puts a webhook at the end of its tenant's queue.
    pub(super) fn push(&mut self, tenant: &TenantId, webhook: WebhookId) {
        self.n += 1;
        let queue = self.queues.entry(tenant.clone()).or_default();
        if queue.is_empty() && !self.held_back.contains(tenant) {
            self.tenants.push_back(tenant.clone());
        }
        queue.push_back(webhook);
    }

    /// Whose turn it is.
    pub(super) fn next_tenant(&self) -> Option<&TenantId> {
        self.tenants.front()
    }

    /// Takes the next webhook out of the queue; its tenant goes to the end of the turns.
    pub(super) fn pop(&mut self) -> Option<WebhookId> {
        let tenant = self.tenants.pop_front()?;
        let queue = self.queues.get_mut(&tenant)?;
        let webhook = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&tenant);
        } else {
            self.tenants.push_back(tenant);
        }
        self.n -= usize::from(webhook.is_some());
        webhook
    }

    /// Takes a tenant out of the turns until [`FairQueue::resume`]; its queue keeps its order.
    pub(super) fn hold_back(&mut self, tenant: &TenantId) {
        if self.held_back.insert(tenant.clone()) {
            self.tenants.retain(|other| other != tenant);
        }
    }

    /// Lets a tenant take turns again.
    pub(super) fn resume(&mut self, tenant: &TenantId) {
        if self.held_back.remove(tenant) && self.queues.contains_key(tenant) {
            self.tenants.push_back(tenant.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("legal")
    }

    fn rest(queue: &mut FairQueue) -> Vec<i64> {
        std::iter::from_fn(|| queue.pop()).map(|webhook| webhook.0).collect()
    }

    #[test]
    fn tenants_alternate_and_one_held_back_keeps_its_place() {
        let mut queue = FairQueue::default();
        (1..=3).for_each(|id| queue.push(&tenant("a"), WebhookId(id)));
        queue.push(&tenant("b"), WebhookId(10));
        queue.hold_back(&tenant("a"));
        queue.push(&tenant("a"), WebhookId(4));
        assert_eq!((queue.len(), rest(&mut queue)), (5, vec![10]));
        queue.push(&tenant("b"), WebhookId(11));
        queue.resume(&tenant("a"));
        assert_eq!(rest(&mut queue), [11, 1, 2, 3, 4]);
        assert_eq!((queue.len(), queue.has_next()), (0, false));
    }
}
