//! `call.*`.

use hookswitch_protocol::UserId;

use crate::counts::Ignored;
use crate::entries::Call;
use crate::fields::{Fields, Key};
use crate::model::user_key;
use crate::section::Section;
use crate::state::{Effect, State};

/// A call names at most so many agents, and rings at so many.
const AGENTS: usize = 64;

impl State {
    pub(crate) fn call_event(&mut self, event_type: &str, fields: &Fields) -> Effect {
        let key = fields.key("unique_id")?;
        let queue_name = fields.key_if_told("queue_name")?;
        let begins = matches!(event_type, "call.incoming" | "call.outgoing");
        let is_known = self.model.calls.get(&key).is_some_and(|call| !call.is_ended);
        if !is_known && !begins && matches!(event_type, "call.ended" | "call.ring_ended") {
            return Err(if self.is_over_call(&key) { Ignored::Late } else { Ignored::Unknown });
        }
        let Some(mut call) = self.known_or_begun(&key, begins)? else { return Ok(()) };
        describe(&mut call, fields);
        call.queue_name = queue_name.or(call.queue_name);
        let done = self.call_effect(event_type, fields, &key, &mut call);
        self.put_call(&key, call);
        if begins && is_known { Err(Ignored::Contradictory) } else { done }
    }

    /// The call, begun where it is not known, with this record as its last; `None` where there is no room for it.
    /// After its end it begins anew only where that is what the record says.
    pub(crate) fn known_or_begun(&mut self, key: &Key, begins: bool) -> Result<Option<Call>, Ignored> {
        let last_update = self.last_update();
        let old = self.model.calls.get(key).cloned();
        let mut call = match old {
            Some(call) if !call.is_ended => call,
            _ if !begins && self.is_over_call(key) => return Err(Ignored::Late),
            None if !self.has_room() => return Ok(None),
            _ => Call::new(self.at(), last_update),
        };
        self.model.past.remove(key);
        (call.last_update, call.told) = (last_update, None);
        call.source = call.source.or_else(|| self.moment.source.clone());
        Ok(Some(call))
    }

    /// Whether a call has ended and not begun again.
    pub(crate) fn is_over_call(&self, key: &Key) -> bool {
        self.model.past.contains_key(key) || self.model.calls.get(key).is_some_and(|call| call.is_ended)
    }

    fn call_effect(&mut self, event_type: &str, fields: &Fields, key: &Key, call: &mut Call) -> Effect {
        let agent = fields.user("agent_id");
        match event_type {
            "call.outgoing" => enter(&mut call.agents, agent),
            "call.ringing" => enter(&mut call.ringing, agent),
            "call.ring_ended" => return leave(&mut call.ringing, agent.as_ref()),
            "call.answered" => {
                enter(&mut call.agents, agent);
                call.ringing.clear();
                (call.is_answered, call.is_held, call.is_parked) = (true, false, false);
                self.leave_queue(key);
            }
            "call.hold" | "call.unhold" if !call.is_answered => return Err(Ignored::Contradictory),
            "call.hold" => call.is_held = true,
            "call.unhold" => call.is_held = false,
            "call.transferred" => transfer(call, agent.as_ref(), fields.text("kind").as_deref()),
            "call.parked" => {
                call.is_parked = true;
                call.agents.clear();
            }
            "call.ended" => {
                call.is_ended = true;
                call.reason = fields.text("reason");
                call.ringing.clear();
                self.leave_queue(key);
            }
            _ => {}
        }
        Ok(())
    }

    /// Enters a call as it is now: its phase, and what follows for its agents and their queues.
    pub(crate) fn put_call(&mut self, key: &Key, mut call: Call) {
        let phase = call.phase_now(self.model.waiting.contains_key(key));
        if phase != call.phase {
            (call.phase, call.since) = (phase, self.at());
        }
        let mut users: Vec<UserId> = call.agents.iter().chain(&call.ringing).cloned().collect();
        if let Some(old) = self.model.calls.insert(key.clone(), call) {
            users.extend(old.agents.into_iter().chain(old.ringing));
        }
        users.sort();
        users.dedup();
        for user in users {
            self.link(&user, key);
        }
        self.touch(Section::Calls, key);
    }

    /// Notes with an agent whether it is in a call, or the call rings there.
    fn link(&mut self, user: &UserId, key: &Key) {
        let call = self.model.calls.get(key).filter(|call| !call.is_ended);
        let is_in = call.is_some_and(|call| call.agents.contains(user));
        let rings = call.is_some_and(|call| call.ringing.contains(user));
        if (is_in || rings) && !self.know_agent(user) {
            return;
        }
        let user_key = user_key(user);
        let Some(agent) = self.model.agents.get_mut(&user_key) else { return };
        if is_in {
            agent.calls.insert(key.clone())
        } else {
            agent.calls.remove(key)
        };
        if rings {
            agent.rings.insert(key.clone())
        } else {
            agent.rings.remove(key)
        };
        self.touch(Section::Agents, &user_key);
        self.recount(user);
    }
}

/// What a call's payload says of it; what it leaves out stays.
pub(super) fn describe(call: &mut Call, fields: &Fields) {
    let told = |old: &mut String, field| {
        if let Some(text) = fields.text(field) {
            *old = text;
        }
    };
    told(&mut call.direction, "direction");
    told(&mut call.caller_id, "caller_id");
    told(&mut call.destination, "destination");
    call.caller_name = fields.text("caller_name").or(call.caller_name.take());
}

fn enter(users: &mut Vec<UserId>, user: Option<UserId>) {
    if let Some(user) = user.filter(|user| !users.contains(user) && users.len() < AGENTS) {
        users.push(user);
    }
}

fn leave(users: &mut Vec<UserId>, user: Option<&UserId>) -> Effect {
    let n_before = users.len();
    users.retain(|other| Some(other) != user);
    if users.len() == n_before { Err(Ignored::Contradictory) } else { Ok(()) }
}

fn transfer(call: &mut Call, agent: Option<&UserId>, kind: Option<&str>) {
    call.transfers += 1;
    match agent {
        Some(agent) => call.agents.retain(|other| other != agent),
        None if kind == Some("redirect") => call.agents.clear(),
        None => {}
    }
    if matches!(kind, Some("blind" | "redirect")) {
        (call.is_answered, call.is_held) = (false, false);
    }
}
