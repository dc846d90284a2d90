//! Who of one tenant, on one shard, subscribed to what.

use std::collections::HashMap;
use std::sync::Arc;

use hookswitch_protocol::{EventType, SubscriptionName};
use indexmap::IndexSet;

/// Connections by their slot in the shard; walked as an array, removed from in constant time.
pub(crate) type SlotSet = IndexSet<u32>;

/// Most event types whose audience is kept ready where patterns are in use; past it the table is
/// made anew, so that a tenant inventing event types cannot grow it without bound.
const RESOLVED_TYPES: usize = 1_024;

/// Most connections in all of these audiences together, but for one by itself, for the same reason.
const RESOLVED_SLOTS: usize = 1_000_000;

/// The index from event type to connections. Kept up to date on subscribe, not searched on publish.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionIndex {
    /// Who named an event type or topic exactly.
    exact: HashMap<Arc<str>, SlotSet>,
    /// Who named a pattern, by the text before its `*`.
    prefixes: HashMap<Arc<str>, SlotSet>,
    /// Exact and pattern subscribers together, per event type seen. Used while there are patterns.
    resolved: HashMap<Arc<str>, SlotSet>,
}

impl SubscriptionIndex {
    /// Adds one name of a connection.
    pub(crate) fn add(&mut self, slot: u32, name: &SubscriptionName) {
        match name {
            SubscriptionName::Exact(name) => {
                self.exact.entry(name.clone()).or_default().insert(slot);
                if let Some(audience) = self.resolved.get_mut(name) {
                    audience.insert(slot);
                }
            }
            SubscriptionName::Prefix(prefix) => {
                self.prefixes.entry(prefix.clone()).or_default().insert(slot);
                for (_, audience) in self.resolved.iter_mut().filter(|(name, _)| name.starts_with(&**prefix)) {
                    audience.insert(slot);
                }
            }
        }
    }

    /// Takes one name away; `left` are the names the connection keeps.
    pub(crate) fn remove(&mut self, slot: u32, name: &SubscriptionName, left: &[SubscriptionName]) {
        let (index, key) = match name {
            SubscriptionName::Exact(key) => (&mut self.exact, key),
            SubscriptionName::Prefix(key) => (&mut self.prefixes, key),
        };
        if let Some(slots) = index.get_mut(key) {
            slots.swap_remove(&slot);
            if slots.is_empty() {
                index.remove(key);
            }
        }
        if self.prefixes.is_empty() {
            self.resolved.clear();
            return;
        }
        let still_meant = |event_type: &str| left.iter().any(|name| matches(name, event_type));
        for (event_type, audience) in &mut self.resolved {
            if matches(name, event_type) && !still_meant(event_type) {
                audience.swap_remove(&slot);
            }
        }
    }

    /// The connections that subscribed to this event type.
    pub(crate) fn audience(&mut self, event_type: &EventType) -> Option<&SlotSet> {
        if self.prefixes.is_empty() {
            return self.exact.get(event_type.as_str());
        }
        if !self.resolved.contains_key(event_type.as_str()) {
            let audience = self.resolve(event_type.as_str());
            let n_slots: usize = self.resolved.values().map(SlotSet::len).sum();
            if self.resolved.len() >= RESOLVED_TYPES || n_slots + audience.len() > RESOLVED_SLOTS {
                self.resolved.clear();
            }
            self.resolved.insert(Arc::from(event_type.as_str()), audience);
        }
        self.resolved.get(event_type.as_str())
    }

    /// The connections that named this topic.
    pub(crate) fn topic(&self, topic: &str) -> Option<&SlotSet> {
        self.exact.get(topic)
    }

    fn resolve(&self, event_type: &str) -> SlotSet {
        let by_pattern = self.prefixes.iter().filter(|(prefix, _)| event_type.starts_with(&***prefix));
        let exact = self.exact.get(event_type).into_iter();
        exact.chain(by_pattern.map(|(_, slots)| slots)).flatten().copied().collect()
    }
}

fn matches(name: &SubscriptionName, event_type: &str) -> bool {
    match name {
        SubscriptionName::Exact(name) => **name == *event_type,
        SubscriptionName::Prefix(prefix) => event_type.starts_with(&**prefix),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 7] = ["call.*", "call.incoming", "call.ended", "*", "chat.*", "chat.message", "alert"];
    const TYPES: [&str; 5] = ["call.incoming", "call.ended", "chat.message", "alert", "survey.done"];

    proptest! {
        /// The index always says what a search through every connection's names would say.
        #[test]
        fn the_index_agrees_with_a_search(
            steps in prop::collection::vec((0u32..6, 0usize..7, any::<bool>(), 0usize..5), 1..120)
        ) {
            let mut interest = SubscriptionIndex::default();
            let mut held: HashMap<u32, Vec<SubscriptionName>> = HashMap::new();
            for (slot, name, adds, asked) in steps {
                let name = SubscriptionName::parse(NAMES[name]).expect("legal");
                let names = held.entry(slot).or_default();
                if adds && !names.contains(&name) {
                    interest.add(slot, &name);
                    names.push(name);
                } else if let Some(at) = names.iter().position(|n| *n == name).filter(|_| !adds) {
                    names.remove(at);
                    interest.remove(slot, &name, names);
                }
                let event_type = EventType::parse(TYPES[asked]).expect("legal");
                let mut found: Vec<u32> = interest.audience(&event_type).into_iter().flatten().copied().collect();
                found.sort_unstable();
                let mut wanted: Vec<u32> = held
                    .iter()
                    .filter(|(_, names)| names.iter().any(|n| n.matches_type(&event_type)))
                    .map(|(slot, _)| *slot)
                    .collect();
                wanted.sort_unstable();
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
