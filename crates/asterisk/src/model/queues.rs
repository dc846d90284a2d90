//! Queues: who waits, since when, and why no more.

use super::{
    Model,
    events::{Fields, seconds},
    types::{Leaving, Ringing, Taker, Wait},
};
use crate::message::Message;

/// How long the reason for leaving a queue may come after the leaving, in milliseconds.
const REASON_WITHIN: i64 = 300;

impl Model {
    pub(crate) fn caller_joins(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let Some(call) = self.channels.get(&uid).map(|channel| channel.call.clone()) else { return };
        self.leaving_by(&uid, None);
        let queue = m.text("Queue").into_owned();
        let position = m.number("Position").unwrap_or(1);
        self.join_queue(&call, &uid, queue, position, self.now);
    }

    pub(crate) fn join_queue(&mut self, call: &str, uid: &str, queue: String, position: i64, since: i64) {
        let now = self.now;
        let Some(found) = self.calls.get_mut(call) else { return };
        if let Some(left) = found.left.as_ref().filter(|_| !found.explained) {
            found.looking_since = left.at;
        }
        found.queue = Some(queue.clone());
        found.queued = true;
        found.since = now;
        found.wait = Some(Wait { queue: queue.clone(), position, since, taken: None, given_up: false });
        let fields = Fields::default().with("queue_name", queue).with("position", position);
        self.tell_again("queue.joined", call, uid, fields);
    }

    pub(crate) fn agent_called(&mut self, m: &Message<'_>) {
        let dest = m.text("DestUniqueid").into_owned();
        let ringing = Ringing { queue: m.text("Queue").into_owned(), interface: m.text("Interface").into_owned() };
        if let Some(call) = self.channels.get(&*m.text("Uniqueid")).map(|channel| channel.call.clone()) {
            self.join_call(&dest, &call);
        }
        if let Some(channel) = self.channels.get_mut(&dest) {
            channel.member = Some(ringing);
        }
    }

    pub(crate) fn caller_abandons(&mut self, m: &Message<'_>) {
        self.count_abandoned(&m.text("Queue"));
        let Some(call) = self.channels.get(&*m.text("Uniqueid")).map(|channel| channel.call.clone()) else { return };
        if let Some(wait) = self.calls.get_mut(&call).and_then(|call| call.wait.as_mut()) {
            wait.given_up = true;
        }
    }

    pub(crate) fn caller_leaves(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let queue = m.text("Queue").into_owned();
        let position = m.number("Position").unwrap_or(1);
        let call = self.channels.get(&uid).map(|channel| channel.call.clone());
        let waiting = |call: &String| {
            self.calls.get(call).and_then(|call| call.wait.as_ref()).is_some_and(|wait| wait.queue == queue)
        };
        let Some(call) = call.filter(waiting) else { return };
        self.leave_queue(&call, &uid, position);
    }

    pub(crate) fn leave_queue(&mut self, call: &str, uid: &str, position: i64) {
        let now = self.now;
        let Some(found) = self.calls.get_mut(call) else { return };
        let Some(wait) = found.wait.take() else { return };
        found.since = now;
        let before = wait.queue.clone();
        for other in self.calls.values_mut() {
            if let Some(later) = other.wait.as_mut().filter(|later| later.queue == before)
                && later.position > position
            {
                later.position -= 1;
            }
        }
        let fields = Fields::default()
            .with("queue_name", wait.queue.as_str())
            .with("wait_time", seconds(now - wait.since))
            .with("position", position);
        if let Some(Taker(agent)) = wait.taken {
            let fields = fields.with("reason", "answered").id("agent_id", agent.as_ref());
            return self.tell_again("queue.left", call, uid, fields);
        }
        self.leaving.push(Leaving {
            call: call.to_owned(),
            channel: uid.to_owned(),
            at: now,
            given_up: wait.given_up,
            fields,
        });
        let hung = self.channels.get(uid).is_some_and(|channel| channel.hung);
        if hung || !wait.given_up {
            self.leaving_by(uid, None);
        }
    }

    /// `QUEUESTATUS` says why a queue gave a caller up.
    pub(crate) fn variable_set(&mut self, m: &Message<'_>) {
        self.sees_dialplan = true;
        if m.bytes("Variable") != Some(b"QUEUESTATUS") {
            return;
        }
        let reason = match m.bytes("Value").unwrap_or_default() {
            b"TIMEOUT" => "timeout",
            b"LEAVEEMPTY" | b"LEAVEUNAVAIL" => "empty",
            b"WITHDRAW" => "withdrawn",
            _ => return,
        };
        let uid = m.text("Uniqueid").into_owned();
        let found = self.leaving.iter().position(|leaving| leaving.channel == uid);
        if let Some(place) = found {
            let leaving = self.leaving.remove(place);
            self.tell_left(leaving, reason);
        }
    }

    /// What is waited for no longer: the caller does something else (`uid` is a channel), or the call ends.
    pub(crate) fn leaving_by(&mut self, uid: &str, call_ends: Option<()>) {
        while let Some(place) = self
            .leaving
            .iter()
            .position(|leaving| if call_ends.is_some() { leaving.call == uid } else { leaving.channel == uid })
        {
            let leaving = self.leaving.remove(place);
            let reason = self.why_left(&leaving);
            self.tell_left(leaving, reason);
        }
    }

    pub(crate) fn settle_leaving(&mut self, all: bool) {
        let now = self.now;
        let due: Vec<String> = self
            .leaving
            .iter()
            .filter(|leaving| all || now - leaving.at >= REASON_WITHIN)
            .map(|leaving| leaving.channel.clone())
            .collect();
        for uid in due {
            self.leaving_by(&uid, None);
        }
    }

    fn why_left(&self, leaving: &Leaving) -> &'static str {
        let hung = self.channels.get(&leaving.channel).is_none_or(|channel| channel.hung)
            || self
                .calls
                .get(&leaving.call)
                .is_some_and(|call| call.hung.as_ref().is_some_and(|hung| hung.uid == leaving.channel));
        match (leaving.given_up, hung) {
            (_, true) => "abandoned",
            (true, false) => "timeout",
            (false, false) => "key",
        }
    }

    fn tell_left(&mut self, leaving: Leaving, reason: &'static str) {
        let fields = leaving.fields.with("reason", reason);
        self.tell_again("queue.left", &leaving.call, &leaving.channel, fields);
    }
}
