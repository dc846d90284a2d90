//! Channels, legs and bridges that lists show and that nobody saw come.

use std::collections::{BTreeMap, HashMap};

use super::{
    Model,
    list_items::ListItems,
    sync::LONGEST,
    types::{Begin, Channel, Ringing, Subject},
};
use crate::message::Message;

/// States of a channel as lists show them: made and not yet offered; a phone that rings; answered.
const DOWN: i64 = 0;
const RINGING: i64 = 5;
const UP: i64 = 6;

impl Model {
    pub(super) fn add_found(&mut self, lists: &ListItems) -> Vec<String> {
        let dialled: BTreeMap<String, String> =
            lists.of("Status").map(|m| (m.text("Uniqueid").into_owned(), m.text("DNID").into_owned())).collect();
        let fresh = |m: &Message<'_>| {
            let uid = m.text("Uniqueid").into_owned();
            !uid.is_empty() && !self.channels.contains_key(&uid) && !self.is_touched(&Subject::Channel(uid))
        };
        let rows: Vec<Message<'_>> = lists.of("CoreShowChannel").filter(fresh).collect();
        let (legs, begun): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_leg);
        let mut found = Vec::new();
        for m in begun {
            let number = dialled.get(&*m.text("Uniqueid")).filter(|number| !number.is_empty());
            found.push(self.add_caller(&m, number));
        }
        for m in legs {
            found.push(self.add_leg(&m));
        }
        for m in lists.of("CoreShowChannel").filter(is_leg) {
            self.give_leg_its_call(&m);
        }
        found
    }

    /// A leg that was seen to come while its caller was not: what was taken for a call of its own is none.
    fn give_leg_its_call(&mut self, m: &Message<'_>) {
        let (uid, linked) = (m.text("Uniqueid").into_owned(), m.text("Linkedid").into_owned());
        let is_own = self.channels.get(&uid).is_some_and(|channel| !channel.local && channel.call == uid);
        let is_known = self.calls.get(&uid).is_none_or(|call| call.known);
        if is_own
            && !is_known
            && let Some(call) = self.call_of_linked(&linked).filter(|call| *call != uid)
        {
            self.join_call(&uid, &call);
            if let Some(channel) = self.channels.get_mut(&uid) {
                channel.dialler.get_or_insert(linked);
            }
        }
    }

    fn add_caller(&mut self, m: &Message<'_>, dialled: Option<&String>) -> String {
        let mut channel = self.channel_of(m);
        channel.born = self.now - duration(m);
        // A snapshot shows its present context. A caller that is nobody's phone and dialled a number came from outside.
        channel.outside |= !channel.local && channel.agent.is_none() && dialled.is_some();
        if let Some(number) = dialled {
            number.clone_into(&mut channel.first_exten);
        }
        let uid = channel.uid.clone();
        channel.call.clone_from(&uid);
        let begin = if channel.outside { Begin::Outside } else { Begin::Phone };
        self.begin_call(&channel, begin, m);
        let call = self.calls.get_mut(&uid).expect("begun above");
        call.born = channel.born;
        call.begin_up = channel.up;
        call.served = m.bytes("Application") == Some(b"ConfBridge");
        self.insert_channel(channel);
        uid
    }

    /// A phone waits for callers as one of the pool's, and nobody saw it log in.
    fn found_in_pool(&mut self, uid: &str) {
        let Some(channel) = self.channels.get_mut(uid) else { return };
        channel.pool = true;
        let (call, agent) = (channel.call.clone(), channel.agent.clone());
        if let Some(call) = self.calls.get_mut(&call) {
            call.served = true;
        }
        if let Some(agent) = agent {
            self.agents.entry(agent).or_default().pool = true;
        }
    }

    fn add_leg(&mut self, m: &Message<'_>) -> String {
        let mut channel = self.channel_of(m);
        channel.born = self.now - duration(m);
        let uid = channel.uid.clone();
        let linked = m.text("Linkedid").into_owned();
        channel.dialler = Some(linked.clone());
        if let Some(call) = self.call_of_linked(&linked) {
            channel.call = call;
        } else {
            channel.call.clone_from(&uid);
            self.begin_call(&channel, Begin::Originated, m);
        }
        self.insert_channel(channel);
        uid
    }

    /// Bridges and Local pairs as the lists show them, also of channels known before.
    pub(super) fn connect_found(&mut self, lists: &ListItems) {
        self.pair_locals();
        for m in lists.of("CoreShowChannel").filter(|m| m.bytes("Application") == Some(b"AgentLogin")) {
            self.found_in_pool(&m.text("Uniqueid"));
        }
        for m in lists.of("CoreShowChannel") {
            let uid = m.text("Uniqueid").into_owned();
            let bridge = m.text("BridgeId").into_owned();
            let up = m.number("ChannelState") == Some(6);
            let is_touched = self.is_touched(&Subject::Bridge(uid.clone()));
            let Some(channel) = self.channels.get_mut(&uid) else { continue };
            channel.up |= up;
            // It rang when it was heard of last, and is answered now.
            channel.answered |= up && channel.ringing;
            if is_touched {
                continue;
            }
            let is_there = channel.bridge.as_deref().unwrap_or_default() == bridge;
            if !bridge.is_empty() {
                // Also who was seen to enter: what joined the calls may not have been.
                self.adopt(&uid, &bridge);
                if !is_there {
                    self.enter(&uid, &bridge);
                }
            } else if !is_there {
                self.leave_bridge(&uid);
            }
        }
    }

    fn pair_locals(&mut self) {
        let mut halves: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for channel in self.channels.values().filter(|channel| channel.local) {
            let base = channel.name.rsplit_once(';').map_or("", |(base, _)| base).to_owned();
            halves.entry(base).or_default().push(channel.uid.clone());
        }
        for pair in halves.into_values().filter(|pair| pair.len() == 2) {
            for (one, other) in [(0, 1), (1, 0)] {
                if let Some(channel) = self.channels.get_mut(&pair[one]) {
                    channel.pair = Some(pair[other].clone());
                }
            }
        }
    }

    /// Who is in one bridge is in one call: what was joined unseen is joined here.
    fn adopt(&mut self, uid: &str, bridge: &str) {
        let channel = &self.channels[uid];
        if channel.local || channel.pool || self.rooms.contains(bridge) {
            return;
        }
        let own = channel.call.clone();
        let mates = self.bridges.get(bridge).cloned().unwrap_or_default();
        let mate = mates
            .iter()
            .filter_map(|mate| self.channels.get(mate))
            .find(|mate| !mate.local && !mate.pool && mate.call != own);
        let Some(other) = mate.map(|mate| mate.call.clone()) else { return };
        let born = |call: &str| self.calls.get(call).map_or(i64::MAX, |call| call.born);
        let (keeps, joins) = if born(&own) <= born(&other) { (own, other) } else { (other, own) };
        self.merge_found(&joins, &keeps);
    }

    pub(super) fn tell_found(&mut self, found: &[String], lists: &ListItems) {
        for uid in found {
            self.tell_incoming(uid);
        }
        let rows = || lists.of("CoreShowChannel");
        let extens: HashMap<String, String> =
            rows().map(|m| (m.text("Uniqueid").into_owned(), m.text("Exten").into_owned())).collect();
        for m in rows() {
            let Some(channel) = self.channels.get(&*m.text("Uniqueid")).filter(|channel| !channel.local) else {
                continue;
            };
            if channel.call != channel.uid {
                let (call, outside) = (channel.call.clone(), channel.outside);
                self.found_offered(&call, outside, extens.get(&call));
            }
        }
        self.found_members(lists);
        let talks = |channel: &&Channel| {
            !channel.local && !channel.pool && channel.call != channel.uid && channel.up && channel.bridge.is_some()
        };
        let legs: Vec<(String, String)> =
            self.channels.values().filter(talks).map(|channel| (channel.call.clone(), channel.uid.clone())).collect();
        for (call, uid) in legs {
            self.take_call(&call, &uid);
        }
        self.found_served(lists);
        for m in rows().filter(|m| m.number("ChannelState") == Some(RINGING)) {
            let uid = m.text("Uniqueid");
            if self.channels.get(&*uid).is_some_and(|channel| channel.call != channel.uid) {
                self.rings(&uid);
            }
        }
    }

    /// A call has a leg to the other side that nobody saw begin. `exten`: where its first channel is in the dialplan.
    fn found_offered(&mut self, uid: &str, outside: bool, exten: Option<&String>) {
        let Some(call) = self.calls.get_mut(uid) else { return };
        if let Some(exten) = exten.filter(|exten| call.begin == Begin::Originated && !call.offered && !exten.is_empty())
        {
            exten.clone_into(&mut call.destination);
        }
        call.offered = true;
        if call.begin != Begin::Outside && !call.told && call.agent.is_some() && call.channels.len() > 1 {
            call.direction = if outside { "outbound" } else { "internal" };
            self.tell_outgoing(uid);
        }
    }

    /// For whom a queue dials: what `AgentCalled` would have told.
    fn found_members(&mut self, lists: &ListItems) {
        let call_of = |uid: &str| self.channels.get(uid).map(|channel| channel.call.clone());
        let entries = lists.of("QueueEntry");
        let queues: HashMap<String, String> =
            entries.filter_map(|m| Some((call_of(&m.text("Uniqueid"))?, m.text("Queue").into_owned()))).collect();
        for m in lists.of("CoreShowChannel").filter(is_of_queue) {
            let Some(channel) = self.channels.get_mut(&*m.text("Uniqueid")) else { continue };
            if let Some(queue) = queues.get(&channel.call).filter(|_| channel.member.is_none()) {
                channel.member = Some(Ringing { queue: queue.clone(), interface: channel.endpoint.clone() });
            }
        }
    }

    /// The dialplan behind a Local channel that is a queue's member took the caller: no person, but served.
    fn found_served(&mut self, lists: &ListItems) {
        let is_up = |m: &Message<'_>| m.number("ChannelState") == Some(UP) && !m.text("BridgeId").is_empty();
        for m in lists.of("CoreShowChannel").filter(|m| is_up(m) && is_of_queue(m)) {
            let uid = m.text("Uniqueid").into_owned();
            let Some(channel) = self.channels.get(&uid).filter(|channel| channel.local) else { continue };
            let call = channel.call.clone();
            self.taken_from_queue(&call, &uid, None);
            if let Some(call) = self.calls.get_mut(&call) {
                call.served = true;
            }
        }
    }
}

/// A leg that a queue dialled.
fn is_of_queue(m: &Message<'_>) -> bool {
    m.bytes("Application") == Some(b"AppQueue")
}

/// A channel that the PBX dialled does not run the dialplan; a caller's does. One that is down still shows no
/// application, but whose call it was made for.
fn is_leg(m: &Message<'_>) -> bool {
    let local = m.text("Channel").starts_with("Local/");
    let is_made_for_another = || m.text("Linkedid") != m.text("Uniqueid");
    local
        || matches!(m.bytes("Application"), Some(b"AppDial" | b"AppQueue" | b"AppDial2"))
        || m.number("ChannelState") == Some(RINGING)
        || (m.number("ChannelState") == Some(DOWN) && is_made_for_another())
}

/// `HH:MM:SS`, in milliseconds.
fn duration(m: &Message<'_>) -> i64 {
    let text = m.text("Duration");
    let parts = text.split(':').map(|part| part.parse::<i64>().unwrap_or_default().clamp(0, LONGEST));
    parts.fold(0_i64, |sum, part| (sum * 60 + part).clamp(0, LONGEST)) * 1000
}
