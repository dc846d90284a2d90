//! What a switch has, against what is known: at the start, and after a time in which nothing was heard.

use std::collections::{BTreeMap, HashSet};

use super::{
    Model,
    list_items::ListItems,
    types::{Begin, Channel, RunningSync, Taker},
};
use crate::message::Message;

/// No time in a list is longer, in seconds: a year.
const LONGEST: i64 = 366 * 86_400;

impl Model {
    /// The lists are asked for; what comes unasked meanwhile is newer than they are.
    pub fn begin_sync(&mut self, now: i64) {
        self.now = now + self.ahead;
        self.settle_leaving(true);
        self.syncing = Some(RunningSync { since: self.now, gone: HashSet::new(), reconciling: false });
    }

    /// All lists are there.
    pub fn finish_sync(&mut self, lists: &ListItems, now: i64) {
        let Some(running) = &mut self.syncing else { return };
        running.reconciling = true;
        let since = running.since;
        self.now = self.now.max(now + self.ahead);
        self.drop_gone(lists, since);
        if let Some(running) = &mut self.syncing {
            running.reconciling = false;
        }
        let found = self.add_found(lists);
        self.connect_found(lists);
        self.tell_found(&found);
        self.sync_members(lists);
        self.sync_parked(lists);
        self.sync_queues(lists);
        self.sync_stats(lists);
        for m in lists.of("DeviceStateChange") {
            self.device(&m.text("Device"), &m.text("State"));
        }
        let known: Vec<String> = self.agents.keys().cloned().collect();
        self.changed_agents.extend(known);
        self.tell_agents();
        self.syncing = None;
        self.synced = true;
    }

    fn drop_gone(&mut self, lists: &ListItems, since: i64) {
        let there: HashSet<String> = lists.of("CoreShowChannel").map(|m| m.text("Uniqueid").into_owned()).collect();
        let gone = |channel: &&Channel| !there.contains(&channel.uid) && channel.born < since;
        let mut gone: Vec<(i64, String)> =
            self.channels.values().filter(gone).map(|channel| (channel.born, channel.uid.clone())).collect();
        gone.sort_by(|one, other| other.cmp(one));
        for (_, uid) in gone {
            self.gone(&uid, 0, None);
        }
    }

    fn add_found(&mut self, lists: &ListItems) -> Vec<String> {
        let dialled: BTreeMap<String, String> =
            lists.of("Status").map(|m| (m.text("Uniqueid").into_owned(), m.text("DNID").into_owned())).collect();
        let gone = self.syncing.as_ref().map(|running| running.gone.clone()).unwrap_or_default();
        let fresh = |m: &Message<'_>| {
            let uid = m.text("Uniqueid");
            !uid.is_empty() && !self.channels.contains_key(&*uid) && !gone.contains(&*uid)
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
        found
    }

    fn add_caller(&mut self, m: &Message<'_>, dialled: Option<&String>) -> String {
        let mut channel = self.channel_of(m);
        channel.born = self.now - duration(m);
        // A snapshot shows its present context. A caller that is nobody's phone and dialled a number came from outside.
        channel.outside |= !channel.local && channel.agent.is_none() && dialled.is_some();
        if let Some(number) = dialled {
            number.clone_into(&mut channel.first_exten);
        }
        channel.pool = m.bytes("Application") == Some(b"AgentLogin");
        let uid = channel.uid.clone();
        channel.call.clone_from(&uid);
        let begin = if channel.outside { Begin::Outside } else { Begin::Phone };
        self.begin_call(&channel, begin, m);
        let call = self.calls.get_mut(&uid).expect("begun above");
        call.born = channel.born;
        call.begin_up = channel.up;
        call.served = channel.pool || m.bytes("Application") == Some(b"ConfBridge");
        if channel.pool
            && let Some(agent) = &channel.agent
        {
            self.agents.entry(agent.clone()).or_default().pool = true;
        }
        self.insert_channel(channel);
        uid
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
    fn connect_found(&mut self, lists: &ListItems) {
        self.pair_locals();
        for m in lists.of("CoreShowChannel") {
            let uid = m.text("Uniqueid").into_owned();
            let bridge = m.text("BridgeId").into_owned();
            let up = m.number("ChannelState") == Some(6);
            let Some(channel) = self.channels.get_mut(&uid) else { continue };
            channel.up |= up;
            let same = channel.bridge.as_deref().unwrap_or_default() == bridge;
            if same {
                continue;
            }
            if bridge.is_empty() {
                self.leave_bridge(&uid);
            } else {
                self.adopt(&uid, &bridge);
                self.enter(&uid, &bridge);
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

    fn tell_found(&mut self, found: &[String]) {
        for uid in found {
            self.tell_incoming(uid);
        }
        for uid in found {
            let Some(channel) = self.channels.get(uid).filter(|channel| !channel.local) else { continue };
            if channel.call != *uid {
                let (call, outside) = (channel.call.clone(), channel.outside);
                self.found_offered(&call, outside);
            }
        }
        let legs: Vec<(String, String, bool)> = self
            .channels
            .values()
            .filter(|channel| !channel.local && channel.call != channel.uid && !channel.answered)
            .map(|channel| (channel.call.clone(), channel.uid.clone(), channel.up && channel.bridge.is_some()))
            .collect();
        for (call, uid, talks) in legs {
            if talks {
                self.take_call(&call, &uid);
            } else if found.contains(&uid) && !self.channels[&uid].up {
                self.rings(&uid);
            }
        }
    }

    fn found_offered(&mut self, uid: &str, outside: bool) {
        let Some(call) = self.calls.get_mut(uid) else { return };
        call.offered = true;
        if call.begin != Begin::Outside && !call.told && call.agent.is_some() && call.channels.len() > 1 {
            call.direction = if outside { "outbound" } else { "internal" };
            self.tell_outgoing(uid);
        }
    }

    fn sync_members(&mut self, lists: &ListItems) {
        let aloud = self.synced;
        let mut there = HashSet::new();
        for m in lists.of("QueueMember") {
            let member = self.member_of_message(&m);
            there.insert((member.queue.clone(), member.interface.clone()));
            let stamp = m.text("LoginTime").into_owned();
            let stamp = if member.paused { m.text("LastPause").into_owned() } else { stamp };
            self.add_member(&member, &stamp, aloud);
        }
        if there.is_empty() || !aloud {
            return;
        }
        let gone: Vec<_> = self.members.keys().filter(|key| !there.contains(*key)).cloned().collect();
        for key in gone {
            self.remove_member(&key, "");
        }
    }

    fn sync_parked(&mut self, lists: &ListItems) {
        for m in lists.of("ParkedCall") {
            let uid = m.text("ParkeeUniqueid").into_owned();
            let Some(call) = self.channels.get(&uid).map(|channel| channel.call.clone()) else { continue };
            if self.calls.get(&call).is_some_and(|call| !call.parked) {
                self.parked_call(&m);
            }
        }
    }

    fn sync_queues(&mut self, lists: &ListItems) {
        let mut waiting = HashSet::new();
        for m in lists.of("QueueEntry") {
            let uid = m.text("Uniqueid").into_owned();
            let queue = m.text("Queue").into_owned();
            let Some(call) = self.channels.get(&uid).map(|channel| channel.call.clone()) else { continue };
            waiting.insert(call.clone());
            let position = m.number("Position").unwrap_or(1);
            let since = self.now - m.number("Wait").unwrap_or_default().clamp(0, LONGEST) * 1000;
            let known = self.calls.get(&call).and_then(|call| call.wait.as_ref());
            match known.map(|wait| wait.queue == queue) {
                Some(true) => {}
                Some(false) => {
                    self.left_unseen(&call);
                    self.join_queue(&call, &uid, queue, position, since);
                }
                None => self.join_queue(&call, &uid, queue, position, since),
            }
        }
        let since = self.syncing.as_ref().map_or(self.now, |running| running.since);
        let left = |call: &&super::types::Call| {
            call.wait.as_ref().is_some_and(|wait| wait.since < since) && !waiting.contains(&call.uid)
        };
        let left: Vec<String> = self.calls.values().filter(left).map(|call| call.uid.clone()).collect();
        for call in left {
            self.left_unseen(&call);
        }
    }

    fn left_unseen(&mut self, uid: &str) {
        let Some(call) = self.calls.get(uid) else { return };
        let person = call.answered.iter().find(|who| *who != uid).cloned();
        let agent_of = |who: String| self.channels.get(&who).and_then(|channel| self.person(channel));
        let taken = person.map(|who| Taker(agent_of(who)));
        let Some(wait) = self.calls.get_mut(uid).and_then(|call| call.wait.as_mut()) else { return };
        wait.given_up = true;
        if taken.is_some() {
            wait.taken = taken;
        }
        let position = wait.position;
        self.leave_queue(uid, uid, position);
        self.settle_leaving(true);
    }
}

/// A channel that the switch dialled does not run the dialplan; a caller's does.
fn is_leg(m: &Message<'_>) -> bool {
    let local = m.text("Channel").starts_with("Local/");
    local
        || matches!(m.bytes("Application"), Some(b"AppDial" | b"AppQueue" | b"AppDial2"))
        || m.number("ChannelState") == Some(5)
}

/// `HH:MM:SS`, in milliseconds.
fn duration(m: &Message<'_>) -> i64 {
    let text = m.text("Duration");
    let parts = text.split(':').map(|part| part.parse::<i64>().unwrap_or_default().clamp(0, LONGEST));
    parts.fold(0_i64, |sum, part| (sum * 60 + part).clamp(0, LONGEST)) * 1000
}
