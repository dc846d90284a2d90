//! All records of one tenant, and what is looked up in them.

use std::collections::{BTreeMap, BTreeSet};

use hookswitch_protocol::{Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::entries::{Agent, Call, Chat, LastUpdate, Member, Queue, Standing, Waiting};
use crate::fields::Key;

/// The state of an agent of whom nobody has said it.
pub(crate) const UNKNOWN: &str = "unknown";

/// What was folded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) agents: BTreeMap<Key, Agent>,
    pub(crate) calls: BTreeMap<Key, Call>,
    pub(crate) queues: BTreeMap<Key, Queue>,
    pub(crate) members: BTreeMap<Key, Member>,
    pub(crate) waiting: BTreeMap<Key, Waiting>,
    pub(crate) chats: BTreeMap<Key, Chat>,
    /// Users who are connected, agents or not.
    pub(crate) online: BTreeSet<Key>,
    /// Calls whose end is past, so that what comes late does not begin them again; when and where they ended.
    pub(crate) past: BTreeMap<Key, LastUpdate>,
    /// The keys of a user's places in queues; follows from the members.
    #[serde(skip)]
    pub(crate) places: BTreeMap<Key, BTreeSet<Key>>,
}

/// A user id as a key.
pub(crate) fn user_key(user: &UserId) -> Key {
    match user {
        UserId::Number(number) => Key::from(number.to_string()),
        UserId::Text(text) => text.clone(),
    }
}

impl Model {
    /// What a member counts as now.
    pub(crate) fn standing(&self, member: &Member) -> Standing {
        let Some(user) = &member.user_id else {
            return Standing { is_logged_in: true, ..Standing::default() };
        };
        let Some(agent) = self.agents.get(&user_key(user)) else { return Standing::default() };
        let is_talking = agent.calls.iter().any(|call| self.calls.get(call).is_some_and(Call::is_talk));
        let is_free = agent.calls.is_empty() && agent.rings.is_empty() && !member.paused;
        Standing {
            is_available: agent.state == hookswitch_protocol::payloads::AVAILABLE && is_free,
            is_logged_in: agent.state != hookswitch_protocol::payloads::OFFLINE && agent.state != UNKNOWN,
            is_talking,
        }
    }

    /// Brings a queue's figures up to date with one of its members; whether they changed.
    pub(crate) fn recount(&mut self, key: &Key) -> bool {
        let Some(member) = self.members.get(key) else { return false };
        let (now, before) = (self.standing(member), member.counted);
        let Some(queue) = self.queues.get_mut(&member.queue_name) else { return false };
        queue.count(before, now);
        if let Some(member) = self.members.get_mut(key) {
            member.counted = now;
        }
        now != before
    }

    /// The queues that a user serves.
    pub(crate) fn queues_of(&self, user: &Key) -> impl Iterator<Item = &Key> {
        let places = self.places.get(user).into_iter().flatten();
        places.filter_map(|key| Some(&self.members.get(key)?.queue_name))
    }

    /// Makes everything that follows from the rest, after the rest was read.
    pub(crate) fn rebuild(&mut self) {
        for (key, call) in self.calls.iter().filter(|(_, call)| !call.is_ended) {
            for user in &call.agents {
                self.agents.entry(user_key(user)).and_modify(|agent| _ = agent.calls.insert(key.clone()));
            }
            for user in &call.ringing {
                self.agents.entry(user_key(user)).and_modify(|agent| _ = agent.rings.insert(key.clone()));
            }
        }
        for (key, waiting) in &self.waiting {
            if let Some(queue) = self.queues.get_mut(&waiting.queue_name) {
                queue.waiting.push(key.clone());
            }
        }
        for queue in self.queues.values_mut() {
            queue.waiting.sort_by_key(|key| self.waiting.get(key).map(|waiting| waiting.order));
        }
        let keys: Vec<Key> = self.members.keys().cloned().collect();
        for key in &keys {
            self.enter_place(key);
            self.recount(key);
        }
    }

    /// Notes a new member with its queue and its user.
    pub(crate) fn enter_place(&mut self, key: &Key) {
        let Some(member) = self.members.get(key) else { return };
        if let Some(queue) = self.queues.get_mut(&member.queue_name) {
            queue.n_members += 1;
        }
        if let Some(user) = &member.user_id {
            self.places.entry(user_key(user)).or_default().insert(key.clone());
        }
    }
}

impl Queue {
    pub(crate) fn new(at: Timestamp) -> Self {
        Self {
            stats: None,
            heard_at: at,
            waiting: Vec::new(),
            n_members: 0,
            n_available: 0,
            n_logged_in: 0,
            n_talking: 0,
        }
    }

    /// Counts a member as something else than before.
    pub(crate) fn count(&mut self, before: Standing, now: Standing) {
        let count = |n: &mut u64, before: bool, now: bool| *n = *n + u64::from(now) - u64::from(before);
        count(&mut self.n_available, before.is_available, now.is_available);
        count(&mut self.n_logged_in, before.is_logged_in, now.is_logged_in);
        count(&mut self.n_talking, before.is_talking, now.is_talking);
    }
}

impl Model {
    /// In a new epoch no entry has had an event yet.
    pub(crate) fn forget_offsets(&mut self) {
        let last_update = self.agents.values_mut().map(|agent| &mut agent.last_update);
        let last_update = last_update.chain(self.calls.values_mut().map(|call| &mut call.last_update));
        let last_update = last_update.chain(self.past.values_mut());
        let last_update = last_update.chain(self.members.values_mut().map(|member| &mut member.last_update));
        let last_update = last_update.chain(self.waiting.values_mut().map(|waiting| &mut waiting.last_update));
        last_update
            .chain(self.chats.values_mut().map(|chat| &mut chat.last_update))
            .for_each(|last_update| last_update.offset = 0);
    }
}
