//! Channels come, ring, and go.

use super::{
    HUNG_LATELY, Model,
    types::{Begin, Call, Channel, Hung},
};
use crate::{escape::known, identity::endpoint, message::Message};

impl Model {
    pub(crate) fn new_channel(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        if uid.is_empty() || self.channels.contains_key(&uid) || self.channels.len() >= super::MOST {
            return;
        }
        let linked = m.text("Linkedid").into_owned();
        let state = m.number("ChannelState").unwrap_or_default();
        let mut channel = self.channel_of(m);
        channel.born = self.now;
        let begins = uid == linked || self.call_of_linked(&linked).is_none();
        if begins {
            let begin = match state {
                0 => Begin::Originated,
                _ if channel.outside => Begin::Outside,
                _ => Begin::Phone,
            };
            self.begin_call(&channel, begin, m);
            channel.call.clone_from(&uid);
        } else {
            channel.call = self.call_of_linked(&linked).unwrap_or_default();
        }
        self.insert_channel(channel);
        if begins && state != 0 {
            self.tell_incoming(&uid);
        }
    }

    /// A channel as its message shows it.
    pub(crate) fn channel_of(&self, m: &Message<'_>) -> Channel {
        let name = m.text("Channel").into_owned();
        let endpoint = endpoint(&name).to_owned();
        let local = name.starts_with("Local/");
        Channel {
            uid: m.text("Uniqueid").into_owned(),
            outside: !local && self.who.is_outside(&endpoint, &m.text("Context")),
            agent: if local { None } else { self.who.agent(&endpoint) },
            up: m.number("ChannelState") == Some(6),
            first_exten: m.text("Exten").into_owned(),
            name,
            endpoint,
            local,
            ..Channel::default()
        }
    }

    pub(crate) fn insert_channel(&mut self, mut channel: Channel) {
        if channel.outside {
            channel.agent = None;
        }
        if let Some(call) = self.calls.get_mut(&channel.call) {
            call.channels.insert(channel.uid.clone());
        }
        if let Some(agent) = channel.agent.clone() {
            let entry = self.agents.entry(agent.clone()).or_default();
            entry.channels.insert(channel.uid.clone());
            if entry.extension.is_empty() {
                channel.endpoint.rsplit('/').next().unwrap_or_default().clone_into(&mut entry.extension);
            }
            self.changed_agents.insert(agent);
        }
        self.channels.insert(channel.uid.clone(), channel);
    }

    pub(crate) fn begin_call(&mut self, channel: &Channel, begin: Begin, m: &Message<'_>) {
        let number = known(&m.text("CallerIDNum")).filter(|number| !number.eq_ignore_ascii_case("anonymous"));
        let name = known(&m.text("CallerIDName"));
        let call = Call {
            uid: channel.uid.clone(),
            channel: channel.name.clone(),
            begin,
            born: self.now,
            since: self.now,
            looking_since: self.now,
            direction: if begin == Begin::Outside { "inbound" } else { "internal" },
            caller_id: number.unwrap_or_else(|| "anonymous".to_owned()),
            caller_name: name,
            destination: channel.first_exten.clone(),
            agent: channel.agent.clone(),
            ..Call::default()
        };
        self.calls.insert(channel.uid.clone(), call);
    }

    /// The call that a Linkedid means: that of the channel of this name, or of any other that shows it.
    pub(crate) fn call_of_linked(&self, linked: &str) -> Option<String> {
        if let Some(channel) = self.channels.get(linked) {
            return Some(channel.call.clone());
        }
        self.calls.contains_key(linked).then(|| linked.to_owned())
    }

    pub(crate) fn new_state(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        match m.number("ChannelState") {
            Some(4) => self.rings_at_the_switch(&uid, m),
            Some(5) => self.rings(&uid),
            Some(6) => {
                if let Some(channel) = self.channels.get_mut(&uid) {
                    channel.up = true;
                }
                if let Some(call) = self.calls.get_mut(&uid) {
                    call.begin_up = true;
                }
            }
            _ => {}
        }
    }

    /// A technology whose calls come in with a channel that is down at first.
    fn rings_at_the_switch(&mut self, uid: &str, m: &Message<'_>) {
        let Some(channel) = self.channels.get(uid).filter(|channel| !channel.local) else { return };
        let outside = channel.outside;
        let Some(call) = self.calls.get_mut(uid) else { return };
        if call.begin != Begin::Originated || call.known || call.offered {
            return;
        }
        call.begin = if outside { Begin::Outside } else { Begin::Phone };
        call.direction = if outside { "inbound" } else { "internal" };
        call.destination = m.text("Exten").into_owned();
        self.tell_incoming(uid);
    }

    pub(crate) fn rename(&mut self, m: &Message<'_>) {
        if let Some(channel) = self.channels.get_mut(&*m.text("Uniqueid")) {
            channel.name = m.text("Newname").into_owned();
            endpoint(&channel.name).clone_into(&mut channel.endpoint);
        }
    }

    pub(crate) fn local_bridge(&mut self, m: &Message<'_>) {
        let one = m.text("LocalOneUniqueid").into_owned();
        let two = m.text("LocalTwoUniqueid").into_owned();
        if let Some(channel) = self.channels.get_mut(&one) {
            channel.pair = Some(two.clone());
        }
        if let Some(channel) = self.channels.get_mut(&two) {
            channel.pair = Some(one);
        }
    }

    pub(crate) fn hangup(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let cause = m.number("Cause").unwrap_or_default();
        self.gone(&uid, cause, m.number("TechCause"));
    }

    pub(crate) fn hangup_request(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let cause = m.number("Cause").unwrap_or_default();
        let now = self.now;
        let Some(channel) = self.channels.get_mut(&uid) else { return };
        if channel.local {
            return;
        }
        channel.hung = true;
        let outside = channel.outside;
        let calls = [Some(channel.call.clone()), channel.serving.clone()];
        let agent = self.channels.get(&uid).filter(|_| !outside).and_then(|channel| self.person(channel));
        for call in calls.into_iter().flatten() {
            let Some(call) = self.calls.get_mut(&call) else { continue };
            // Busy() and Congestion() of the dialplan ask for it, too, with their own causes.
            let of_dialplan = call.first_answer.is_none() && matches!(cause, 17 | 34);
            let party = call.answered.contains(&uid) || (uid == call.uid && !of_dialplan);
            if party {
                call.explained = true;
                // An older one was of somebody who left while the call went on.
                if call.hung.as_ref().is_none_or(|hung| now - hung.at >= HUNG_LATELY) {
                    call.hung = Some(Hung { at: now, uid: uid.clone(), agent: agent.clone(), outside });
                }
            }
        }
    }

    /// A channel is the PBX's no more.
    pub(crate) fn gone(&mut self, uid: &str, cause: i64, tech: Option<i64>) {
        let Some(channel) = self.channels.get(uid).cloned() else { return };
        self.leave_bridge(uid);
        self.leaving_by(uid, None);
        self.end_ringing(&channel, cause, tech);
        for call in [Some(&channel.call), channel.serving.as_ref()].into_iter().flatten() {
            let now = self.now;
            if let Some(call) = self.calls.get_mut(call) {
                call.talk.remove(uid, now);
                call.hold.remove(uid, now);
                if uid == call.uid {
                    call.talk.clear(now);
                    call.cause = cause;
                    call.begin_up |= channel.up;
                }
            }
        }
        if channel.pool {
            self.pool_gone(&channel);
        }
        self.channels.remove(uid);
        if let Some(agent) = &channel.agent {
            if let Some(entry) = self.agents.get_mut(agent) {
                entry.channels.remove(uid);
            }
            self.changed_agents.insert(agent.clone());
        }
        self.leave_call(&channel);
    }
}
