//! Who is connected with whom.

use super::{Model, types::Left};
use crate::message::Message;

impl Model {
    pub(crate) fn bridge_create(&mut self, m: &Message<'_>) {
        if m.bytes("BridgeCreator") == Some(b"ConfBridge") && self.rooms.len() < super::MOST {
            self.rooms.insert(m.text("BridgeUniqueid").into_owned());
        }
    }

    pub(crate) fn bridge_destroy(&mut self, m: &Message<'_>) {
        let bridge = m.text("BridgeUniqueid");
        self.bridges.remove(&*bridge);
        self.rooms.remove(&*bridge);
    }

    pub(crate) fn bridge_enter(&mut self, m: &Message<'_>) {
        self.bridge_create(m);
        let uid = m.text("Uniqueid").into_owned();
        let bridge = m.text("BridgeUniqueid").into_owned();
        self.enter(&uid, &bridge);
    }

    pub(crate) fn enter(&mut self, uid: &str, bridge: &str) {
        self.leave_bridge(uid);
        let Some(channel) = self.channels.get_mut(uid) else { return };
        channel.bridge = Some(bridge.to_owned());
        let (call, pool) = (channel.call.clone(), channel.pool);
        if let Some(call) = self.calls.get_mut(&call) {
            if self.rooms.contains(bridge) {
                call.served = true;
            }
            if call.left.as_ref().is_some_and(|left| left.uid == uid) {
                call.left = None;
            }
        }
        self.bridges.entry(bridge.to_owned()).or_default().insert(uid.to_owned());
        if pool {
            self.pool_agent_enters(uid, bridge);
        } else {
            self.caller_enters(uid, bridge);
        }
    }

    /// An agent of the pool comes into the bridge of a caller, or of the Local channel that a queue dialled.
    fn pool_agent_enters(&mut self, uid: &str, bridge: &str) {
        for other in self.others(uid, bridge) {
            let Some(channel) = self.channels.get(&other) else { continue };
            let taken = if channel.local {
                let one = channel.pair.as_ref().and_then(|pair| self.channels.get(pair));
                one.filter(|one| one.answered).map(|one| one.call.clone())
            } else {
                (!channel.pool).then(|| channel.call.clone())
            };
            if let Some(call) = taken {
                self.take_call(&call, uid);
            }
        }
    }

    /// A caller comes into the bridge where an agent of the pool is already.
    fn caller_enters(&mut self, uid: &str, bridge: &str) {
        let call = self.channels[uid].call.clone();
        if self.channels[uid].local || self.rooms.contains(bridge) {
            return;
        }
        for other in self.others(uid, bridge) {
            if self.channels.get(&other).is_some_and(|channel| channel.pool && channel.call != call) {
                self.take_call(&call, &other);
            }
        }
    }

    fn others(&self, uid: &str, bridge: &str) -> Vec<String> {
        let all = self.bridges.get(bridge).into_iter().flatten();
        all.filter(|other| *other != uid).cloned().collect()
    }

    pub(crate) fn bridge_leave(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let from = m.text("BridgeUniqueid").into_owned();
        if self.channels.get(&uid).is_none_or(|channel| channel.bridge.as_ref() != Some(&from)) {
            return;
        }
        self.leave_bridge(&uid);
        let now = self.now;
        let channel = &self.channels[&uid];
        let serving = channel.serving.clone();
        let call = channel.call.clone();
        if let Some(serving) = serving {
            self.stop_serving(&uid, &serving);
        }
        if let Some(call) = self.calls.get_mut(&call)
            && call.first_answer.is_some()
            && !call.explained
        {
            call.left.get_or_insert(Left { uid, exten: m.text("Exten").into_owned(), at: now });
        }
    }

    /// An agent of the pool is back in it; not when the Local pair is only optimised away.
    fn stop_serving(&mut self, uid: &str, call: &str) {
        let still = self.calls.get(call).is_some_and(|found| {
            let caller = self.channels.get(&found.uid);
            caller.is_some_and(|caller| !caller.hung) && !self.channels[uid].hung
        });
        if !still {
            self.served_no_more(uid, call);
        }
    }

    pub(crate) fn served_no_more(&mut self, uid: &str, call: &str) {
        let now = self.now;
        if let Some(channel) = self.channels.get_mut(uid) {
            channel.serving = None;
        }
        if let Some(call) = self.calls.get_mut(call) {
            call.talk.remove(uid, now);
            call.hold.remove(uid, now);
        }
        self.changed(uid);
    }

    pub(crate) fn leave_bridge(&mut self, uid: &str) {
        let Some(bridge) = self.channels.get_mut(uid).and_then(|channel| channel.bridge.take()) else { return };
        if let Some(members) = self.bridges.get_mut(&bridge) {
            members.remove(uid);
            if members.is_empty() {
                self.bridges.remove(&bridge);
            }
        }
    }

    pub(crate) fn conference_join(&mut self, m: &Message<'_>) {
        let Some(channel) = self.channels.get(&*m.text("Uniqueid")) else { return };
        if let Some(call) = self.calls.get_mut(&channel.call) {
            call.served = true;
        }
    }
}
