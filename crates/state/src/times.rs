//! What time does: to the fold, whose time is that of its records, and to what is shown, whose time is the node's.

use std::time::Duration;

use hookswitch_protocol::Timestamp;
use serde_json::json;

use crate::entries::{Agent, Call};
use crate::fields::Key;
use crate::model::UNKNOWN;
use crate::section::Section;
use crate::state::State;
use crate::view::EntryKey;

const DAY: Duration = Duration::from_hours(24);

/// What is hidden by the clock leaves the fold so much later, by the time of records: nodes' clocks differ.
const GRACE: Duration = Duration::from_secs(10);

/// A call that has ended is known to have ended for so long, and at most so many are.
const PAST: Duration = Duration::from_mins(10);
const PAST_CALLS: usize = 16_384;

/// An ordinary event that somebody has to publish, since time has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// `call.ended` or `source.lost`.
    pub event_type: &'static str,
    /// Its payload, JSON.
    pub payload: String,
}

impl State {
    /// It is `now` on this node: what is over its time is hidden, and calls nobody has spoken of are marked. Cheap
    /// enough for once a second: it looks at each entry, and encodes those that change.
    pub fn tick(&mut self, now: Timestamp) {
        self.clock = now;
        let is_other = |key: &&EntryKey| {
            self.is_hidden(key) != self.hidden.contains(*key)
                || !self.hidden.contains(*key) && self.is_stale(key) != self.stale.contains(*key)
        };
        let others: Vec<EntryKey> = self.sizes.keys().filter(is_other).cloned().collect();
        self.touched.extend(others);
        self.commit();
        self.completeness_changed();
    }

    /// What one node has to publish now, for nothing leaves the fold unseen: the ends of calls that nobody has spoken
    /// of for too long, and which sources are lost.
    pub fn due(&self, now: Timestamp) -> Vec<Due> {
        let max_age = self.settings.call_max_age;
        let is_over = |call: &Call| {
            let source = call.source.as_ref().and_then(|source| self.sources.get(source));
            let is_orphan = source.is_some_and(|source| source.is_lost && source.since.after(max_age) <= now);
            !call.is_ended && (is_orphan || call.last_update.at.after(max_age) <= now)
        };
        let calls = self.model.calls.iter().filter(|(_, call)| is_over(call));
        let ends = calls.map(|(key, call)| Due { event_type: "call.ended", payload: end(key, call, "expired") });
        let lost = self.sources.overdue(now);
        let lost =
            lost.map(|name| Due { event_type: "source.lost", payload: json!({ "source": &**name }).to_string() });
        ends.chain(lost).collect()
    }

    /// Whether the clock hides an entry.
    pub(crate) fn is_hidden(&self, key: &EntryKey) -> bool {
        self.is_over(key, self.clock, Duration::ZERO)
    }

    /// Whether a call may be over without anybody having said so.
    pub(crate) fn is_stale(&self, (section, key): &EntryKey) -> bool {
        let call = self.model.calls.get(key).filter(|call| *section == Section::Calls && !call.is_ended);
        call.is_some_and(|call| call.last_update.at.after(self.settings.call_max_age / 10) <= self.clock)
    }

    fn is_over(&self, (section, key): &EntryKey, now: Timestamp, grace: Duration) -> bool {
        let is_past = |since: Timestamp, span: Duration| since.after(span + grace) <= now;
        let (model, ended_for) = (&self.model, self.settings.ended_for);
        match section {
            Section::Calls => model.calls.get(key).is_some_and(|call| call.is_ended && is_past(call.since, ended_for)),
            Section::Chats => model.chats.get(key).is_some_and(|chat| {
                chat.is_ended && is_past(chat.since, ended_for) || is_past(chat.last_update.at, DAY)
            }),
            Section::Agents => model.agents.get(key).is_some_and(|agent| {
                is_away(agent) && !model.online.contains(key) && is_past(agent.last_update.at, DAY)
            }),
            Section::Queues => model
                .queues
                .get(key)
                .is_some_and(|queue| queue.n_members == 0 && queue.waiting.is_empty() && is_past(queue.heard_at, DAY)),
            Section::Members | Section::Waiting => false,
        }
    }

    /// Lets go of what has been hidden everywhere, by the time of records, so that all nodes do at the same place.
    pub(crate) fn let_go(&mut self) {
        let now = self.fold_time;
        let over: Vec<EntryKey> = self.sizes.keys().filter(|key| self.is_over(key, now, GRACE)).cloned().collect();
        for (section, key) in over {
            match section {
                Section::Calls => self.let_go_call(&key),
                Section::Chats => _ = self.model.chats.remove(&key),
                Section::Agents => _ = self.model.agents.remove(&key),
                Section::Queues => _ = self.model.queues.remove(&key),
                Section::Members | Section::Waiting => {}
            }
            self.touched.insert((section, key));
        }
        self.model.past.retain(|_, ended| ended.at.after(PAST) > now);
        self.forget_sources();
    }

    fn let_go_call(&mut self, key: &Key) {
        let Some(call) = self.model.calls.remove(key) else { return };
        self.model.past.insert(key.clone(), call.last_update);
        if self.model.past.len() > PAST_CALLS
            && let Some(oldest) = self.model.past.iter().min_by_key(|(_, ended)| ended.at).map(|(key, _)| key.clone())
        {
            self.model.past.remove(&oldest);
        }
    }

    /// What a source has said that is forgotten is nobody's from then on.
    fn forget_sources(&mut self) {
        let limit = self.fold_time.before(self.settings.call_max_age);
        let gone: Vec<Key> = self.sources.lost_before(limit).cloned().collect();
        for name in gone {
            self.source_moved(&name);
            self.sources.forget(&name);
            let model = &mut self.model;
            let sources = model.calls.values_mut().map(|call| &mut call.source);
            let sources = sources.chain(model.members.values_mut().map(|member| &mut member.source));
            let sources = sources.chain(model.waiting.values_mut().map(|waiting| &mut waiting.source));
            sources.filter(|source| source.as_ref() == Some(&name)).for_each(|source| *source = None);
        }
    }
}

fn is_away(agent: &Agent) -> bool {
    let is_out = agent.state == hookswitch_protocol::payloads::OFFLINE || agent.state == UNKNOWN;
    is_out && agent.calls.is_empty() && agent.rings.is_empty()
}

/// The payload of the event that ends a call.
pub(crate) fn end(key: &Key, call: &Call, reason: &str) -> String {
    let mut payload = json!({
        "unique_id": &**key,
        "caller_id": call.caller_id,
        "destination": call.destination,
        "direction": call.direction,
        "reason": reason,
    });
    if let Some(queue_name) = &call.queue_name {
        payload["queue_name"] = json!(&**queue_name);
    }
    if let [agent] = &*call.agents {
        payload["agent_id"] = json!(agent);
    }
    payload.to_string()
}
