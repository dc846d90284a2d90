//! Transfers, parking and pick-up: who talks with whom changes, and calls become one.

use super::{
    Model,
    events::{Fields, seconds},
    types::Begin,
};
use crate::message::Message;

impl Model {
    pub(crate) fn blind_transfer(&mut self, m: &Message<'_>) {
        if m.bytes("Result") != Some(b"Success") {
            return;
        }
        let by = m.text("TransfererUniqueid").into_owned();
        let Some(call) = self.call_served(&by) else { return };
        let target = m.text("Extension").into_owned();
        let agent = self.agent_at(&by);
        let fields = Fields::default().with("kind", "blind").id("agent_id", agent.as_ref()).with("target", target);
        self.tell_again("call.transferred", &call, &by, fields);
        self.transferred_away(&call, &by, agent);
    }

    /// The call in which a channel is a party.
    fn call_served(&self, uid: &str) -> Option<String> {
        let channel = self.channels.get(uid)?;
        Some(channel.serving.clone().unwrap_or_else(|| channel.call.clone()))
    }

    fn agent_at(&self, uid: &str) -> Option<String> {
        self.channels.get(uid).filter(|channel| !channel.outside).and_then(|channel| self.person(channel))
    }

    fn transferred_away(&mut self, call: &str, by: &str, agent: Option<String>) {
        let now = self.now;
        let Some(found) = self.calls.get_mut(call) else { return };
        found.talk.remove(by, now);
        found.hold.remove(by, now);
        found.left = None;
        found.explained = true;
        found.hung = None;
        found.looking_since = now;
        found.since = now;
        found.transfers += 1;
        if let Some(agent) = &agent {
            found.agents.remove(agent);
        }
        found.transferer = agent;
        self.changed(by);
    }

    /// A channel that had left its bridge for no reason known is dialling on: it was moved by AMI.
    pub(crate) fn redirected(&mut self, call: &str, dialler: &str, exten: &str) {
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.left.as_ref().is_none_or(|left| left.uid != dialler) || found.explained {
            return;
        }
        let Some(left) = found.left.take() else { return };
        found.looking_since = left.at;
        found.explained = true;
        found.transfers += 1;
        found.agents.clear();
        let now = self.now;
        found.talk.clear(now);
        found.hold.clear(now);
        let target = if left.exten.is_empty() || left.exten == "s" { exten.to_owned() } else { left.exten };
        let fields = Fields::default().with("kind", "redirect").with("target", target);
        self.tell_again("call.transferred", call, dialler, fields);
    }

    pub(crate) fn attended_transfer(&mut self, m: &Message<'_>) {
        if m.bytes("Result") != Some(b"Success") {
            return;
        }
        let by = m.text("OrigTransfererUniqueid").into_owned();
        let other = m.text("SecondTransfererUniqueid").into_owned();
        let (Some(first), Some(second)) = (self.call_served(&by), self.call_served(&other)) else { return };
        if first == second {
            return self.by_feature(&first, &by, m);
        }
        let born = |call: &String| self.calls.get(call).map_or(i64::MAX, |call| call.born);
        let (keeps, joins, by, other) =
            if born(&first) <= born(&second) { (first, second, by, other) } else { (second, first, other, by) };
        let agent = self.agent_at(&by);
        let target = self.calls.get(&joins).map(|call| call.destination.clone()).unwrap_or_default();
        let known = self.target_of(&joins);
        let fields = Fields::default()
            .with("kind", "attended")
            .id("agent_id", agent.as_ref())
            .with("target", target)
            .id("target_agent_id", known.as_ref());
        self.tell_again("call.transferred", &keeps, &by, fields);
        self.transferred_away(&keeps, &by, agent);
        self.merge(&joins, &keeps, &other);
    }

    fn target_of(&self, call: &str) -> Option<String> {
        let found = self.calls.get(call)?;
        let mut others = found.answered.iter().filter(|uid| **uid != found.uid);
        others.find_map(|uid| self.agent_at(uid))
    }

    /// A consultation by feature code or AMI was no call of its own.
    fn by_feature(&mut self, call: &str, by: &str, m: &Message<'_>) {
        let local = m.text("TransferTargetUniqueid").into_owned();
        let channel = self.channels.get(&local);
        let dialled = channel.map(|channel| channel.first_exten.clone()).filter(|exten| !exten.is_empty());
        let target = dialled.unwrap_or_else(|| m.text("TransferTargetExten").into_owned());
        let real = self.behind(&local).or_else(|| channel.filter(|channel| !channel.local).map(|_| local.clone()));
        let known = real.as_ref().and_then(|uid| self.agent_at(uid));
        let agent = self.agent_at(by);
        let fields = Fields::default()
            .with("kind", "attended")
            .id("agent_id", agent.as_ref())
            .with("target", target)
            .id("target_agent_id", known.as_ref());
        self.tell_again("call.transferred", call, by, fields);
        self.transferred_away(call, by, agent);
    }

    /// One call joins another: its parties go over, and it ends. `but` stays behind and goes.
    fn merge(&mut self, from: &str, into: &str, but: &str) {
        self.tell_outgoing(from);
        self.move_wait(from, into);
        let Some(old) = self.calls.get(from) else { return };
        let moving: Vec<String> = old.channels.iter().filter(|uid| *uid != but).cloned().collect();
        let talkers: Vec<String> = old.talk.who().filter(|uid| *uid != but).cloned().collect();
        for uid in &moving {
            self.join_call(uid, into);
        }
        for uid in &talkers {
            self.take_call(into, uid);
        }
        self.join_call(but, into);
        self.end_merged(from, into);
    }

    /// Who waited for the call that joins waits for the other one now.
    fn move_wait(&mut self, from: &str, into: &str) {
        let now = self.now;
        let Some(wait) = self.calls.get_mut(from).and_then(|call| call.wait.take()) else { return };
        let fields = Fields::default()
            .with("queue_name", wait.queue.as_str())
            .with("reason", "transferred")
            .with("wait_time", seconds(now - wait.since))
            .with("position", wait.position);
        self.tell_again("queue.left", from, "moved", fields);
        if let Some(call) = self.calls.get_mut(into) {
            call.queue = Some(wait.queue.clone());
            call.queued = true;
            let fields = Fields::default().with("queue_name", wait.queue.as_str()).with("position", wait.position);
            call.wait = Some(wait);
            self.tell_again("queue.joined", into, from, fields);
        }
    }

    pub(crate) fn parked_call(&mut self, m: &Message<'_>) {
        let uid = m.text("ParkeeUniqueid").into_owned();
        let Some(call) = self.call_served(&uid) else { return };
        let now = self.now;
        let parker = m.text("ParkerUniqueid").into_owned();
        let Some(found) = self.calls.get_mut(&call) else { return };
        let talking = found.talk.who().find(|who| **who != uid).cloned();
        let before = found.transferer.take();
        found.talk.clear(now);
        found.hold.clear(now);
        found.parked = true;
        found.left = None;
        found.explained = true;
        found.since = now;
        found.agents.clear();
        let space = m.text("ParkingSpace").into_owned();
        let agent = self.agent_at(&parker).or(before).or_else(|| talking.and_then(|uid| self.agent_at(&uid)));
        let fields = Fields::default().id("agent_id", agent.as_ref()).with("space", space);
        self.tell_again("call.parked", &call, &uid, fields);
    }

    pub(crate) fn parking_timed_out(&mut self, m: &Message<'_>) {
        let now = self.now;
        let Some(call) = self.call_served(&m.text("ParkeeUniqueid")) else { return };
        if let Some(found) = self.calls.get_mut(&call) {
            found.parked = false;
            found.looking_since = now;
            found.since = now;
        }
    }

    pub(crate) fn unparked_call(&mut self, m: &Message<'_>) {
        self.parking_timed_out(m);
        let retriever = m.text("RetrieverUniqueid").into_owned();
        let Some(call) = self.call_served(&m.text("ParkeeUniqueid")) else { return };
        self.taken_over(&retriever, &call);
    }

    pub(crate) fn pickup(&mut self, m: &Message<'_>) {
        let taker = m.text("Uniqueid").into_owned();
        let rang = m.text("TargetUniqueid").into_owned();
        let Some(channel) = self.channels.get_mut(&rang) else { return };
        channel.picked = true;
        let (call, member) = (channel.call.clone(), channel.member.clone());
        if let Some(channel) = self.channels.get_mut(&taker) {
            channel.picked = true;
            if channel.member.is_none() {
                channel.member = member;
            }
        }
        self.taken_over(&taker, &call);
    }

    /// A phone that dialled a feature code takes over another call; its own ends.
    fn taken_over(&mut self, uid: &str, call: &str) {
        let Some(own) = self.channels.get(uid).map(|channel| channel.call.clone()) else { return };
        if own == call {
            return;
        }
        let begun = self.calls.get(&own).is_some_and(|own| own.begin != Begin::Outside);
        if begun {
            self.tell_outgoing(&own);
        }
        self.join_call(uid, call);
        self.end_merged(&own, call);
        self.take_call(call, uid);
    }
}

impl Model {
    /// Two calls that were joined while nothing was heard.
    pub(crate) fn merge_found(&mut self, from: &str, into: &str) {
        self.merge(from, into, "");
    }
}
