//! Calls: they come in, wait, ring, are answered, held, transferred and ended, or given up by the caller.

use std::collections::VecDeque;

use hookswitch::protocol::payloads::{self, Notification};
use hookswitch::protocol::{Timestamp, UserId};
use rand::RngExt as _;

use super::Simulator;
use super::agents::{Activity, Agent};
use super::event_queue::{AgentAt, CallId, Ring, ScheduledEvent};
use super::facts::{CallStep, Fact};
use super::people::{CALLERS, QUEUES, SUPERVISOR};

/// One call, from coming in to its end.
#[derive(Debug)]
pub(super) struct Call {
    unique_id: String,
    caller_id: String,
    caller_name: &'static str,
    pub(super) queue: usize,
    pub(super) joined_at: Timestamp,
    answered_at: Timestamp,
    pub(super) stage: Stage,
    /// What will still happen while they talk.
    plan: VecDeque<Move>,
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    Ringing(AgentAt),
    Talking(AgentAt),
    Held(AgentAt),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Hold,
    Unhold,
    Transfer,
    End,
}

impl Simulator {
    pub(super) fn call_arrives(&mut self) {
        self.schedule(7.0..18.0, ScheduledEvent::CallArrives);
        let id = self.next_id();
        let queue = usize::from(self.chance(0.35));
        let plan = match self.rng.random_range(0..10) {
            0..=5 => vec![Move::End],
            6..=8 => vec![Move::Hold, Move::Unhold, Move::End],
            _ => vec![Move::Transfer, Move::End],
        };
        let call = Call {
            unique_id: format!("{}.{id}", self.run),
            caller_id: format!("+1555{:07}", self.rng.random_range(0..10_000_000)),
            caller_name: self.pick(&CALLERS),
            queue,
            joined_at: self.events.now(),
            answered_at: self.events.now(),
            stage: Stage::Waiting,
            plan: plan.into(),
        };
        self.calls.insert(id, call);
        self.queues[queue].waiting.push_back(id);
        self.tell_call(id, CallStep::Incoming, 0);
        let fact = self.call_fact(id, 0);
        self.tell(Fact::QueueJoined(fact));
        self.schedule(6.0..60.0, ScheduledEvent::PatienceEnds(id));
        self.dispatch();
    }

    /// Lets the oldest waiting call that somebody can take ring. Whether there was one.
    pub(super) fn ring_next(&mut self) -> bool {
        let found = (0..self.queues.len()).find_map(|queue| {
            let mut waiting = self.queues[queue].waiting.iter().copied();
            let call = waiting.find(|call| self.calls[call].stage == Stage::Waiting)?;
            self.available_in(queue).map(|agent| (queue, call, agent))
        });
        let Some((queue, call, agent)) = found else { return false };
        self.queues[queue].last_called = agent;
        self.call_mut(call).stage = Stage::Ringing(agent);
        self.set_activity(agent, Activity::Ringing(call));
        if self.chance(0.95) {
            self.schedule(1.5..7.0, ScheduledEvent::RingEnds(call, agent, Ring::Answered));
        } else {
            self.schedule(12.0..15.0, ScheduledEvent::RingEnds(call, agent, Ring::Unheard));
        }
        true
    }

    pub(super) fn ring_ends(&mut self, id: CallId, agent: AgentAt, ring: Ring) {
        if self.calls.get(&id).is_none_or(|call| call.stage != Stage::Ringing(agent)) {
            return; // The caller has given up meanwhile.
        }
        match ring {
            Ring::Answered => self.answer(id, agent),
            Ring::Unheard => {
                self.call_mut(id).stage = Stage::Waiting;
                let notice = format!("{} rang and was not answered", self.calls[&id].caller_id);
                self.notify(self.agents[agent].user, "Missed call", notice);
                self.goes_on_break(agent);
                self.dispatch();
            }
        }
    }

    fn answer(&mut self, id: CallId, agent: AgentAt) {
        let now = self.events.now();
        let call = self.call_mut(id);
        call.stage = Stage::Talking(agent);
        call.answered_at = now;
        self.leave_queue(id);
        self.tell_call(id, CallStep::Answered, 0);
        self.set_activity(agent, Activity::Talking(id));
        self.plan_move(id);
    }

    /// The caller hangs up, unless it was answered.
    pub(super) fn patience_ends(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let ringing = match call.stage {
            Stage::Waiting => None,
            Stage::Ringing(agent) => Some(agent),
            Stage::Talking(_) | Stage::Held(_) => return,
        };
        let notice = format!("{} gave up after {} s", call.caller_id, self.seconds_since(call.joined_at));
        self.call_mut(id).stage = Stage::Waiting;
        self.leave_queue(id);
        self.tell_call(id, CallStep::Ended, 0);
        let call = self.calls.remove(&id).expect("looked up above");
        self.queues[call.queue].abandoned += 1;
        self.notify(SUPERVISOR, "Caller lost", notice);
        if let Some(agent) = ringing {
            self.set_activity(agent, Activity::Available);
            self.dispatch();
        }
    }

    pub(super) fn call_moves(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (Stage::Talking(agent) | Stage::Held(agent)) = call.stage else { return };
        match call.plan.pop_front().unwrap_or(Move::End) {
            Move::Hold => {
                call.stage = Stage::Held(agent);
                self.tell_call(id, CallStep::Hold, 0);
            }
            Move::Unhold => {
                call.stage = Stage::Talking(agent);
                self.tell_call(id, CallStep::Unhold, 0);
            }
            Move::Transfer => self.transfer(id, agent),
            Move::End => return self.hang_up(id, agent),
        }
        self.plan_move(id);
    }

    /// Hands the call to another available agent of its queue; without one the talk goes on.
    fn transfer(&mut self, id: CallId, from: AgentAt) {
        let queue = self.calls[&id].queue;
        let Some(to) = self.available_in(queue) else { return };
        self.queues[queue].last_called = to;
        self.call_mut(id).stage = Stage::Talking(to);
        self.tell_call(id, CallStep::Transferred, 0);
        self.set_activity(to, Activity::Talking(id));
        self.wraps_up(from);
    }

    fn hang_up(&mut self, id: CallId, agent: AgentAt) {
        let talked = self.seconds_since(self.calls[&id].answered_at);
        self.tell_call(id, CallStep::Ended, talked);
        let call = self.calls.remove(&id).expect("looked up by the caller");
        self.queues[call.queue].completed += 1;
        self.wraps_up(agent);
    }

    fn leave_queue(&mut self, id: CallId) {
        let call = &self.calls[&id];
        let (at, waited) = (call.queue, self.seconds_since(call.joined_at));
        let queue = &mut self.queues[at];
        queue.waiting.retain(|waiting| *waiting != id);
        queue.total_wait += waited;
        queue.n_left += 1;
        let fact = self.call_fact(id, waited);
        self.tell(Fact::QueueLeft(fact));
    }

    fn plan_move(&mut self, id: CallId) {
        let is_held = matches!(self.calls[&id].stage, Stage::Held(_));
        let seconds = if is_held { 4.0..12.0 } else { 8.0..35.0 };
        self.schedule(seconds, ScheduledEvent::CallMoves(id));
    }

    fn call_mut(&mut self, id: CallId) -> &mut Call {
        self.calls.get_mut(&id).expect("only living calls are looked up")
    }

    fn tell_call(&mut self, id: CallId, step: CallStep, duration: i64) {
        let fact = self.call_fact(id, duration);
        self.tell(Fact::Call(step, fact));
    }

    fn call_fact(&self, id: CallId, duration: i64) -> payloads::Call {
        let call = &self.calls[&id];
        let (queue, destination) = QUEUES[call.queue];
        let agent = match call.stage {
            Stage::Waiting => None,
            Stage::Ringing(agent) | Stage::Talking(agent) | Stage::Held(agent) => Some(&self.agents[agent]),
        };
        payloads::Call {
            caller_id: call.caller_id.clone(),
            caller_name: call.caller_name.to_owned(),
            destination: destination.to_owned(),
            channel: format!("SIP/trunk-{id:08x}"),
            destination_channel: agent.map_or_else(String::new, Agent::interface),
            agent_id: agent.map(|agent| UserId::from(agent.user)),
            agent_name: agent.map_or_else(String::new, |agent| agent.name.to_owned()),
            queue_name: queue.to_owned(),
            direction: payloads::INBOUND.to_owned(),
            duration,
            ..payloads::Call::new(call.unique_id.as_str())
        }
    }

    fn notify(&mut self, user: i64, title: &'static str, message: String) {
        let number = self.next_id();
        let id = format!("note-{}-{number}", self.run);
        let note = Notification { kind: "info".to_owned(), ..Notification::new(id, title, message) };
        self.tell(Fact::Notification(UserId::from(user), note));
    }
}
