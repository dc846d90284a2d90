//! A line in which tenants take turns, and the webhooks of a tenant take turns.

use std::collections::{HashMap, HashSet, VecDeque};

use hookswitch_protocol::{TenantId, WebhookId};

/// The line. A webhook stands in it at most once; its owner sees to that.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Tenants with a webhook in line that are not held back, in the order of their turns, each once.
    tenants: VecDeque<TenantId>,
    /// The webhooks in line, per tenant.
    lines: HashMap<TenantId, VecDeque<WebhookId>>,
    held_back: HashSet<TenantId>,
    n: usize,
}

impl Turns {
    /// Webhooks in line, those of tenants that are held back included.
    pub(super) fn len(&self) -> usize {
        self.n
    }

    /// Whether anybody's turn could come now.
    pub(super) fn has_next(&self) -> bool {
        !self.tenants.is_empty()
    }

    /// Puts a webhook at the end of its tenant's line.
    pub(super) fn push(&mut self, tenant: &TenantId, webhook: WebhookId) {
        self.n += 1;
        let line = self.lines.entry(tenant.clone()).or_default();
        if line.is_empty() && !self.held_back.contains(tenant) {
            self.tenants.push_back(tenant.clone());
        }
        line.push_back(webhook);
    }

    /// Whose turn it is.
    pub(super) fn next_tenant(&self) -> Option<&TenantId> {
        self.tenants.front()
    }

    /// Takes the next webhook out of the line; its tenant goes to the end of the turns.
    pub(super) fn pop(&mut self) -> Option<WebhookId> {
        let tenant = self.tenants.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let webhook = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else {
            self.tenants.push_back(tenant);
        }
        self.n -= usize::from(webhook.is_some());
        webhook
    }

    /// Takes a tenant out of the turns until [`Turns::resume`]; its line keeps its order.
    pub(super) fn hold_back(&mut self, tenant: &TenantId) {
        if self.held_back.insert(tenant.clone()) {
            self.tenants.retain(|other| other != tenant);
        }
    }

    /// Lets a tenant take turns again.
    pub(super) fn resume(&mut self, tenant: &TenantId) {
        if self.held_back.remove(tenant) && self.lines.contains_key(tenant) {
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

    fn rest(turns: &mut Turns) -> Vec<i64> {
        std::iter::from_fn(|| turns.pop()).map(|webhook| webhook.0).collect()
    }

    #[test]
    fn tenants_alternate_and_one_held_back_keeps_its_place() {
        let mut turns = Turns::default();
        (1..=3).for_each(|id| turns.push(&tenant("a"), WebhookId(id)));
        turns.push(&tenant("b"), WebhookId(10));
        turns.hold_back(&tenant("a"));
        turns.push(&tenant("a"), WebhookId(4));
        assert_eq!((turns.len(), rest(&mut turns)), (5, vec![10]));
        turns.push(&tenant("b"), WebhookId(11));
        turns.resume(&tenant("a"));
        assert_eq!(rest(&mut turns), [11, 1, 2, 3, 4]);
        assert_eq!((turns.len(), turns.has_next()), (0, false));
    }
}
