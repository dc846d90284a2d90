//! Calls end when their last party has gone.

use super::{
    HUNG_LATELY, Model,
    events::{Fields, seconds},
    types::{Begin, Call, Channel},
};

impl Model {
    pub(crate) fn leave_call(&mut self, channel: &Channel) {
        let Some(call) = self.calls.get_mut(&channel.call) else { return };
        call.channels.remove(&channel.uid);
        let begun_by_local = call.begin == Begin::Originated && !call.told;
        let channels = call.channels.clone();
        let uid = call.uid.clone();
        let parties = channels.iter().filter(|uid| self.channels.get(*uid).is_some_and(|other| !other.local)).count();
        if parties == 0 && (channels.is_empty() || !begun_by_local) {
            self.end_call(&uid);
        }
    }

    fn end_call(&mut self, uid: &str) {
        if let Some(wait) = self.calls.get_mut(uid).and_then(|call| call.wait.as_mut()) {
            wait.given_up = true;
            let position = wait.position;
            self.leave_queue(uid, uid, position);
        }
        self.leaving_by(uid, Some(()));
        self.tell_outgoing_at_end(uid);
        let Some(call) = self.calls.get(uid) else { return };
        if call.known {
            let unseen = self.syncing.as_ref().is_some_and(|running| running.reconciling);
            let fields = if unseen { self.ended_unseen(call) } else { self.ended(call) };
            self.tell("call.ended", uid, "end", fields);
        }
        self.forget(uid);
    }

    /// What neither a person nor a phone of an agent had to do with is no call.
    fn tell_outgoing_at_end(&mut self, uid: &str) {
        let Some(call) = self.calls.get(uid) else { return };
        if call.begin == Begin::Originated && call.agent.is_none() && !call.known {
            return;
        }
        self.tell_outgoing(uid);
    }

    fn forget(&mut self, uid: &str) {
        let Some(call) = self.calls.remove(uid) else { return };
        for channel in self.channels.values_mut() {
            if channel.serving.as_deref() == Some(uid) {
                channel.serving = None;
                if let Some(agent) = &channel.agent {
                    self.changed_agents.insert(agent.clone());
                }
            }
        }
        self.changed_agents.extend(call.agents);
    }

    pub(crate) fn end_merged(&mut self, uid: &str, into: &str) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(uid) else { return };
        call.talk.clear(now);
        call.hold.clear(now);
        if call.known {
            let fields = self.calls[uid].times(now);
            let fields = fields.with("reason", "merged").with("merged_into", into).with("ended_by", "agent");
            let agent = self.calls[uid].agent.clone();
            self.tell("call.ended", uid, "end", fields.id("agent_id", agent.as_ref()).with("cause", 16));
        }
        self.forget(uid);
    }

    fn ended_unseen(&self, call: &Call) -> Fields {
        let fields = call.times(self.now).with("reason", "reconciled");
        fields.with("ended_by", "system").with("cause", 0)
    }

    fn ended(&self, call: &Call) -> Fields {
        let hung = call.hung.as_ref().filter(|hung| self.now - hung.at < HUNG_LATELY);
        let fields = call.times(self.now).with("cause", call.cause);
        let reason = call.reason(hung.is_some_and(|hung| hung.uid == call.uid));
        let fields = fields.with("reason", reason);
        let Some(hung) = hung.filter(|_| !matches!(reason, "busy" | "declined" | "failed")) else {
            return fields.with("ended_by", "system");
        };
        if hung.outside {
            let inbound = hung.uid == call.uid && call.begin == Begin::Outside;
            return fields.with("ended_by", if inbound { "caller" } else { "outside" });
        }
        fields.with("ended_by", "agent").id("agent_id", hung.agent.as_ref())
    }
}

impl Call {
    pub(crate) fn times(&self, now: i64) -> Fields {
        let duration = now - self.born;
        let wait = self.first_answer.unwrap_or(now) - self.born;
        Fields::default()
            .with("duration", seconds(duration))
            .with("talk_time", seconds(self.talk.total()))
            .with("wait_time", seconds(wait))
            .with("hold_time", seconds(self.hold.total()))
    }

    fn reason(&self, by_begin: bool) -> &'static str {
        if self.first_answer.is_some() || self.served {
            return "completed";
        }
        if by_begin {
            let feature = self.begin != Begin::Outside && !self.offered && !self.queued && self.begin_up;
            return if feature && self.begin == Begin::Phone { "completed" } else { "abandoned" };
        }
        if self.queued {
            return "no_answer";
        }
        if let Some(refused) = self.refused {
            return refused;
        }
        match (self.begin_up, self.cause) {
            (true, _) if self.begin != Begin::Originated => "completed",
            (_, 17) => "busy",
            (_, 18 | 19) => "no_answer",
            (_, 21) => "declined",
            _ if self.begin == Begin::Originated => "no_answer",
            _ => "failed",
        }
    }
}
