//! What one tenant's webhooks want, arranged by what they want.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hookswitch_protocol::{EventType, SubscriptionName, WebhookId};

use crate::options::WebhookOptions;
use crate::receiver_version::ReceiverVersion;

/// What one webhook wants, and on which terms.
#[derive(Debug)]
pub(crate) struct Wants {
    pub(crate) id: WebhookId,
    pub(crate) names: Vec<SubscriptionName>,
    pub(crate) is_active: bool,
    pub(crate) receiver: ReceiverVersion,
    /// Without headers.
    pub(crate) options: WebhookOptions,
}

/// One tenant's webhooks. An event's type is looked up as it is and by each of its prefixes, so what does not
/// want it costs nothing.
#[derive(Debug, Default, Clone)]
pub(crate) struct TenantIndex {
    /// All, oldest first; of these the first `n_in_force` are in the lists.
    webhooks: BTreeMap<WebhookId, Arc<Wants>>,
    n_in_force: usize,
    /// Each list in the order of ids.
    exact: HashMap<Arc<str>, Vec<Arc<Wants>>>,
    /// `call.` for `call.*`, and the empty prefix for `*`.
    prefixes: HashMap<Arc<str>, Vec<Arc<Wants>>>,
}

impl TenantIndex {
    /// Adds one; [`TenantIndex::in_force`] takes it into account.
    pub(crate) fn add(&mut self, wants: Wants) {
        self.webhooks.insert(wants.id, Arc::new(wants));
    }

    /// With one replaced, or without it.
    pub(crate) fn with(mut self, id: WebhookId, wants: Option<Wants>) -> Self {
        self.webhooks.remove(&id);
        self.webhooks.extend(wants.map(|wants| (id, Arc::new(wants))));
        self
    }

    /// Arranged anew, with at most so many in force.
    pub(crate) fn in_force(mut self, most: usize) -> Self {
        self.exact.clear();
        self.prefixes.clear();
        self.n_in_force = self.webhooks.len().min(most);
        for wants in self.webhooks.values().take(most) {
            for name in &wants.names {
                let list = match name {
                    SubscriptionName::Exact(name) => self.exact.entry(Arc::clone(name)).or_default(),
                    SubscriptionName::Prefix(prefix) => self.prefixes.entry(Arc::clone(prefix)).or_default(),
                };
                // One webhook after the other: a name it has twice would be the last one again.
                if list.last().is_none_or(|last| last.id != wants.id) {
                    list.push(Arc::clone(wants));
                }
            }
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.webhooks.is_empty()
    }

    /// How many are not in force for want of a place.
    pub(crate) fn n_excess(&self) -> usize {
        self.webhooks.len() - self.n_in_force
    }

    /// One that is in force.
    pub(crate) fn get(&self, id: WebhookId) -> Option<&Arc<Wants>> {
        let wants = self.webhooks.get(&id)?;
        // Those in force are the oldest; only beyond the limit is it worth counting.
        let is_in_force = self.n_excess() == 0 || self.webhooks.range(..id).count() < self.n_in_force;
        is_in_force.then_some(wants)
    }

    /// How many want it, each by as many names as match.
    pub(crate) fn n_wanting(&self, event_type: &EventType) -> usize {
        self.lists(event_type).map(Vec::len).sum()
    }

    /// Who wants it, each once, in the order of their ids.
    pub(crate) fn matching(&self, event_type: &EventType) -> Vec<&Wants> {
        let mut lists = self.lists(event_type);
        let mut found: Vec<&Wants> = lists.next().into_iter().flatten().map(|wants| &**wants).collect();
        let n_first = found.len();
        found.extend(lists.flatten().map(|wants| &**wants));
        if found.len() > n_first {
            found.sort_unstable_by_key(|wants| wants.id);
            found.dedup_by_key(|wants| wants.id);
        }
        found
    }

    fn lists<'a, 'e>(&'a self, event_type: &'e EventType) -> impl Iterator<Item = &'a Vec<Arc<Wants>>> + use<'a, 'e> {
        let name = event_type.as_str();
        let prefixes = name.match_indices('.').map(|(dot, _)| &name[..=dot]);
        let by_prefix = std::iter::once("").chain(prefixes).filter_map(|prefix| self.prefixes.get(prefix));
        // Receivers that were written for `call.*` never meet an opt-in type: they name it.
        let by_prefix = by_prefix.filter(|_| !event_type.is_opt_in());
        self.exact.get(name).into_iter().chain(by_prefix)
    }
}
