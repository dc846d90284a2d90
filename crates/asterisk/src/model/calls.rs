//! Calls begin, are offered to phones, and ring there.

use super::{
    Model,
    events::Fields,
    types::{Begin, Channel},
};
use crate::message::Message;

impl Model {
    /// An outside channel dialled in.
    pub(crate) fn tell_incoming(&mut self, uid: &str) {
        let Some(channel) = self.channels.get(uid) else { return };
        let name = channel.name.clone();
        let Some(call) = self.calls.get_mut(uid) else { return };
        if call.begin != Begin::Outside || call.told || channel.local {
            return;
        }
        call.told = true;
        self.tell("call.incoming", uid, "in", Fields::default().with("channel", name));
    }

    /// A call of a phone: told when its first leg to the other side is offered, or when it ends before.
    pub(crate) fn tell_outgoing(&mut self, uid: &str) {
        let Some(call) = self.calls.get_mut(uid) else { return };
        if call.begin == Begin::Outside || call.told {
            return;
        }
        call.told = true;
        let name = call.channel.clone();
        let agent = call.agent.clone();
        self.tell("call.outgoing", uid, "out", Fields::default().id("agent_id", agent.as_ref()).with("channel", name));
    }

    pub(crate) fn dial_begin(&mut self, m: &Message<'_>) {
        let dest = m.text("DestUniqueid").into_owned();
        let dialler = m.text("Uniqueid").into_owned();
        if dialler.is_empty() || !self.channels.contains_key(&dialler) {
            return self.dial_for_nobody(&dest);
        }
        let call = self.channels[&dialler].call.clone();
        self.join_call(&dest, &call);
        if let Some(channel) = self.channels.get_mut(&dest) {
            channel.dialler = Some(dialler.clone());
        }
        let exten = m.text("Exten").into_owned();
        self.redirected(&call, &dialler, &exten);
        let Some(leg) = self.channels.get(&dest).filter(|leg| !leg.local) else { return };
        self.offer(&call, leg.outside, &exten);
    }

    /// The PBX dials by itself: the first leg of an originated call, or a feature's.
    fn dial_for_nobody(&mut self, dest: &str) {
        let Some(pair) = self.channels.get(dest).and_then(|channel| channel.pair.clone()) else { return };
        let call = self.channels[dest].call.clone();
        self.join_call(&pair, &call);
    }

    fn offer(&mut self, uid: &str, outside: bool, exten: &str) {
        let Some(call) = self.calls.get_mut(uid) else { return };
        if call.begin == Begin::Originated && !call.offered {
            if self.channels.get(uid).is_some_and(|own| own.local) && call.agent.is_none() {
                return self.first_leg(uid);
            }
            exten.clone_into(&mut call.destination);
        }
        let call = self.calls.get_mut(uid).expect("found above");
        call.offered = true;
        if call.begin != Begin::Outside && !call.told {
            call.direction = if outside { "outbound" } else { "internal" };
            self.tell_outgoing(uid);
        }
    }

    /// A call originated by way of a Local channel: the phone behind it is whose call it is.
    fn first_leg(&mut self, uid: &str) {
        let real = |channel: &&Channel| !channel.local && channel.call == uid;
        let leg = self.channels.values().find(real).and_then(|leg| leg.agent.clone());
        if let Some(call) = self.calls.get_mut(uid) {
            call.agent = leg;
            call.offered = call.agent.is_none();
        }
    }

    /// Moves a channel, and the other half of a Local pair, to another call.
    pub(crate) fn join_call(&mut self, uid: &str, call: &str) {
        let Some(channel) = self.channels.get_mut(uid) else { return };
        if channel.call == call {
            return;
        }
        let old = std::mem::replace(&mut channel.call, call.to_owned());
        let pair = channel.pair.clone();
        if let Some(old) = self.calls.get_mut(&old) {
            old.channels.remove(uid);
        }
        if let Some(new) = self.calls.get_mut(call) {
            new.channels.insert(uid.to_owned());
        }
        self.forget_if_empty(&old);
        if let Some(pair) = pair {
            self.join_call(&pair, call);
        }
    }

    fn forget_if_empty(&mut self, uid: &str) {
        if self.calls.get(uid).is_some_and(|call| call.channels.is_empty() && !call.known) {
            self.calls.remove(uid);
        }
    }

    /// A phone rings.
    pub(crate) fn rings(&mut self, uid: &str) {
        let Some(channel) = self.channels.get(uid) else { return };
        if channel.local || channel.ringing || channel.answered || channel.outside {
            return;
        }
        if channel.dialler.is_none() && channel.call != uid {
            return;
        }
        let Some(agent) = self.person(channel) else { return };
        let channel = self.channels.get_mut(uid).expect("found above");
        channel.ringing = true;
        let (call, name) = (channel.call.clone(), channel.name.clone());
        let shown = self.agent_name(&agent);
        let fields = Fields::default()
            .id("agent_id", Some(&agent))
            .maybe("agent_name", shown)
            .with("destination_channel", name)
            .maybe("queue_name", self.queue_of(uid));
        self.tell("call.ringing", &call, uid, fields);
        self.changed_agents.insert(agent);
    }

    /// The queue that a leg rings from.
    pub(crate) fn queue_of(&self, uid: &str) -> Option<String> {
        let channel = self.channels.get(uid)?;
        self.member_of(channel).map(|ringing| ringing.queue)
    }

    /// The queue and member that a leg rings for, also behind a Local channel.
    pub(crate) fn member_of(&self, channel: &Channel) -> Option<super::types::Ringing> {
        let mut channel = channel;
        for _ in 0..8 {
            if let Some(member) = &channel.member {
                return Some(member.clone());
            }
            let dialler = self.channels.get(channel.dialler.as_ref()?)?;
            channel = self.channels.get(dialler.pair.as_ref()?)?;
        }
        None
    }

    /// Whose phone it is; when it is nobody's, the queue member that it rings for.
    pub(crate) fn person(&self, channel: &Channel) -> Option<String> {
        if let Some(agent) = &channel.agent {
            return Some(agent.clone());
        }
        let member = self.member_of(channel)?;
        self.members.get(&(member.queue, member.interface)).and_then(|member| member.agent.clone())
    }

    pub(crate) fn agent_name(&self, agent: &str) -> Option<String> {
        self.agents.get(agent).and_then(|entry| entry.name.clone())
    }

    /// A ringing that was told ends without an answer.
    pub(crate) fn end_ringing(&mut self, channel: &Channel, cause: i64, tech: Option<i64>) {
        let refused = refusal(channel, cause, tech);
        if let (Some(reason), Some(call)) = (refused, self.calls.get_mut(&channel.call)) {
            call.refused = Some(reason);
        }
        if !channel.ringing || channel.answered {
            return;
        }
        let Some(agent) = self.person(channel) else { return };
        let reason = refused.unwrap_or_else(|| self.why_silent(channel, cause));
        let queue = self.member_of(channel).map(|member| member.queue);
        let fields = Fields::default().id("agent_id", Some(&agent)).with("reason", reason).maybe("queue_name", queue);
        self.tell("call.ring_ended", &channel.call, &channel.uid, fields);
        self.changed_agents.insert(agent);
    }

    fn why_silent(&self, channel: &Channel, cause: i64) -> &'static str {
        let call = self.calls.get(&channel.call);
        let caller_left = call.is_some_and(|call| call.hung.as_ref().is_some_and(|hung| hung.uid == call.uid));
        let status = channel.dial_status.as_deref();
        if channel.picked || cause == 26 {
            "elsewhere"
        } else if caller_left || cause == 127 {
            "cancelled"
        } else if status == Some("NOANSWER") || channel.member.is_some() || matches!(cause, 18 | 19) {
            "no_answer"
        } else if status == Some("CANCEL") {
            "cancelled"
        } else if channel.call == channel.uid {
            "no_answer"
        } else {
            "failed"
        }
    }
}

/// What a phone said that refused; a phone that was told to stop says nothing.
fn refusal(channel: &Channel, cause: i64, tech: Option<i64>) -> Option<&'static str> {
    if channel.answered || channel.local || !channel.hung || channel.up {
        return None;
    }
    if channel.dialler.is_none() && !channel.ringing {
        return None;
    }
    Some(match (tech, cause) {
        (Some(486 | 600), _) | (_, 17) => "busy",
        (Some(603), _) | (_, 21) => "declined",
        (Some(480), _) => "no_answer",
        _ => "failed",
    })
}
