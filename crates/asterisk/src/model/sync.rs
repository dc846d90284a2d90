//! What a PBX has, against what is known: at the start, and after a time in which nothing was heard.

use std::collections::HashSet;

use super::{
    Model,
    list_items::ListItems,
    types::{Channel, RunningSync, Subject, Taker},
};

/// No time in a list is longer, in seconds: a year.
pub(super) const LONGEST: i64 = 366 * 86_400;

impl Model {
    /// The lists are asked for; what comes unasked meanwhile is newer than they are.
    pub fn begin_sync(&mut self, now: i64) {
        self.now = now + self.ahead;
        self.settle_leaving(true);
        self.syncing = Some(RunningSync { since: self.now, touched: HashSet::new(), reconciling: false });
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
        self.tell_found(&found, lists);
        self.sync_members(lists);
        self.sync_parked(lists);
        self.sync_queues(lists);
        self.sync_stats(lists);
        for m in lists.of("DeviceStateChange") {
            if self.is_touched(&Subject::Device(m.text("Device").into_owned())) {
                continue;
            }
            self.device(&m.text("Device"), &m.text("State"));
        }
        let known: Vec<String> = self.agents.keys().cloned().collect();
        self.changed_agents.extend(known);
        self.tell_agents();
        self.syncing = None;
        self.synced = true;
        // Who was told before of an agent is told what it is now.
        self.changed_agents.extend(self.agents.keys().cloned());
        self.tell_agents();
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

    fn sync_members(&mut self, lists: &ListItems) {
        let aloud = self.synced;
        let mut there = HashSet::new();
        for m in lists.of("QueueMember") {
            let member = self.member_of_message(&m);
            there.insert((member.queue.clone(), member.interface.clone()));
            if self.is_touched(&Subject::Member(member.queue.clone(), member.interface.clone())) {
                continue;
            }
            let stamp = m.text("LoginTime").into_owned();
            let stamp = if member.paused { m.text("LastPause").into_owned() } else { stamp };
            self.add_member(&member, &stamp, aloud);
        }
        if there.is_empty() || !aloud {
            return;
        }
        let is_gone = |(queue, interface): &&(String, String)| {
            !self.is_touched(&Subject::Member(queue.clone(), interface.clone()))
        };
        let missing = self.members.keys().filter(|key| !there.contains(*key));
        let gone: Vec<_> = missing.filter(is_gone).cloned().collect();
        for key in gone {
            self.remove_member(&key, "");
        }
    }

    fn sync_parked(&mut self, lists: &ListItems) {
        for m in lists.of("ParkedCall") {
            let uid = m.text("ParkeeUniqueid").into_owned();
            let Some(call) = self.channels.get(&uid).map(|channel| channel.call.clone()) else { continue };
            if self.is_touched(&Subject::Parking(uid)) {
                continue;
            }
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
            if self.is_touched(&Subject::Wait(uid.clone())) {
                continue;
            }
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
            let is_old = call.wait.as_ref().is_some_and(|wait| wait.since < since);
            is_old && !waiting.contains(&call.uid) && !self.is_touched(&Subject::Wait(call.uid.clone()))
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
