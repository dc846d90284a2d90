//! Who takes a call, and who holds it.

use super::{
    Model,
    events::{Fields, seconds},
    types::{Begin, Taker},
};
use crate::message::Message;

impl Model {
    pub(crate) fn dial_end(&mut self, m: &Message<'_>) {
        let dest = m.text("DestUniqueid").into_owned();
        let status = m.text("DialStatus").into_owned();
        let Some(channel) = self.channels.get_mut(&dest) else { return };
        if status != "ANSWER" {
            channel.dial_status.get_or_insert(status);
            return;
        }
        channel.answered = true;
        let (call, local) = (channel.call.clone(), channel.local);
        if local {
            if let Some(real) = self.behind(&dest) {
                self.take_call(&call, &real);
            }
            self.taken_from_queue(&call, &dest, None);
            if let Some(call) = self.calls.get_mut(&call).filter(|_| self.channels[&dest].member.is_some()) {
                call.served = true;
            }
        } else if dest != call {
            self.take_call(&call, &dest);
        } else {
            self.changed(&dest);
        }
    }

    /// The phone behind one half of a Local pair.
    pub(crate) fn behind(&self, local: &str) -> Option<String> {
        let pair = self.channels.get(local)?.pair.as_ref()?;
        let bridge = self.channels.get(pair)?.bridge.as_ref()?;
        let real = |uid: &&String| self.channels.get(*uid).is_some_and(|channel| !channel.local);
        self.bridges.get(bridge)?.iter().find(real).cloned()
    }

    /// A person takes a call: told once for each who does.
    pub(crate) fn take_call(&mut self, call: &str, uid: &str) {
        let Some(channel) = self.channels.get(uid) else { return };
        let (agent, name) = (self.person(channel), channel.name.clone());
        let (endpoint, outside, pool) = (channel.endpoint.clone(), channel.outside, channel.pool);
        let queue = self.queue_of(uid);
        let now = self.now;
        let Some(found) = self.calls.get_mut(call) else { return };
        if !found.answered.insert(uid.to_owned()) || uid == found.uid {
            return;
        }
        found.first_answer.get_or_insert(now);
        found.talk.add(uid, now);
        found.left = None;
        found.explained = false;
        found.parked = false;
        found.hung = None;
        found.since = now;
        if let Some(agent) = &agent {
            found.agents.insert(agent.clone());
        }
        let waiting = now - found.looking_since;
        let queue = queue.or_else(|| found.wait.as_ref().map(|wait| wait.queue.clone()));
        if queue.is_some() {
            found.queue.clone_from(&queue);
        }
        let shown = match &agent {
            Some(agent) => self.agent_name(agent),
            None => (!outside).then_some(endpoint),
        };
        let fields = Fields::default()
            .id("agent_id", agent.as_ref())
            .maybe("agent_name", shown)
            .with("destination_channel", name)
            .with("wait_time", seconds(waiting));
        // A begin that nobody saw comes before what follows from it.
        self.tell_incoming(call);
        self.tell_outgoing(call);
        self.tell("call.answered", call, uid, fields);
        self.taken_from_queue(call, uid, agent);
        let channel = self.channels.get_mut(uid).expect("found above");
        channel.answered = true;
        if pool {
            channel.serving = Some(call.to_owned());
        }
        self.changed(uid);
    }

    pub(crate) fn taken_from_queue(&mut self, call: &str, uid: &str, agent: Option<String>) {
        let for_queue = self.queue_of(uid).is_some()
            || self.channels.get(uid).is_some_and(|channel| channel.pool || channel.picked);
        let Some(wait) = self.calls.get_mut(call).and_then(|call| call.wait.as_mut()) else { return };
        if for_queue || agent.is_some() {
            match &mut wait.taken {
                Some(Taker(known)) if known.is_none() => *known = agent,
                Some(_) => {}
                None => wait.taken = Some(Taker(agent)),
            }
        }
    }

    /// What an agent does may be another thing now.
    pub(crate) fn changed(&mut self, uid: &str) {
        if let Some(agent) = self.channels.get(uid).and_then(|channel| channel.agent.clone()) {
            self.changed_agents.insert(agent);
        }
    }

    pub(crate) fn hold(&mut self, m: &Message<'_>) {
        // The hold that a feature code makes has no class of music.
        if m.bytes("MusicClass").is_none() {
            return;
        }
        let uid = m.text("Uniqueid").into_owned();
        let Some((call, fields)) = self.presser(&uid) else { return };
        let now = self.now;
        let Some(found) = self.calls.get_mut(&call) else { return };
        if found.hold.has(&uid) {
            return;
        }
        found.hold.add(&uid, now);
        found.since = now;
        self.tell_again("call.hold", &call, &uid, fields);
        self.changed(&uid);
    }

    pub(crate) fn unhold(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let Some((call, fields)) = self.presser(&uid) else { return };
        let now = self.now;
        let Some(found) = self.calls.get_mut(&call) else { return };
        if !found.hold.remove(&uid, now) {
            return;
        }
        found.since = now;
        self.tell_again("call.unhold", &call, &uid, fields);
        self.changed(&uid);
    }

    /// The call of a party that presses hold, and who that is.
    fn presser(&self, uid: &str) -> Option<(String, Fields)> {
        let channel = self.channels.get(uid).filter(|channel| !channel.local)?;
        let call = channel.serving.clone().unwrap_or_else(|| channel.call.clone());
        let found = self.calls.get(&call)?;
        let party = uid == found.uid || found.answered.contains(uid);
        if !party || (found.begin == Begin::Originated && !found.told && !channel.up && !channel.answered) {
            return None;
        }
        let by = if channel.outside { "caller" } else { "agent" };
        let agent = if channel.outside { None } else { self.person(channel) };
        Some((call, Fields::default().id("agent_id", agent.as_ref()).with("by", by)))
    }
}
