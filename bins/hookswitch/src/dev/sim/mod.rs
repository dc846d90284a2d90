//! A simulated call centre: agents, queues, calls and chats as state machines on a clock of their own.
//!
//! Pure: no clock, no I/O; time moves to the next thing in the event queue when [`Simulator::step`] is
//! called. Coherent: who rings is called, who talks is busy, every call and chat that began ends, and
//! the reports are counted from the state. The same seed tells the same story.

mod agents;
mod calls;
mod chats;
mod event_queue;
mod facts;
mod people;
mod queues;

use std::collections::BTreeMap;
use std::time::Duration;

use hookswitch::protocol::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use self::agents::Agent;
use self::calls::Call;
use self::chats::Chat;
use self::event_queue::{CallId, ChatId, EventQueue, ScheduledEvent};
pub(crate) use self::facts::*;
pub(crate) use self::people::SUPERVISOR;
use self::queues::Queue;

/// Events per second that the call centre produces on its own clock, on average, once all agents
/// have logged in. A test holds it.
pub(crate) const NATURAL_RATE: f64 = 2.0;

/// The call centre.
#[derive(Debug)]
pub(crate) struct Simulator {
    events: EventQueue,
    rng: StdRng,
    agents: Vec<Agent>,
    queues: Vec<Queue>,
    calls: BTreeMap<CallId, Call>,
    chats: BTreeMap<ChatId, Chat>,
    /// Part of every id, so that a second run on the same data does not reuse the first one's.
    run: i64,
    n_started: u64,
    facts: Vec<Fact>,
}

impl Simulator {
    /// A call centre that opens at `start`: agents log in during the first seconds.
    pub(crate) fn new(seed: u64, start: Timestamp) -> Self {
        let mut centre = Self {
            events: EventQueue::new(start),
            rng: StdRng::seed_from_u64(seed),
            agents: agents::all_agents(),
            queues: queues::all_queues(),
            calls: BTreeMap::new(),
            chats: BTreeMap::new(),
            run: start.as_millis() / 1_000,
            n_started: 0,
            facts: Vec::new(),
        };
        for at in 0..centre.agents.len() {
            centre.events.schedule(Duration::from_millis(300 * at as u64 + 200), ScheduledEvent::ShiftStarts(at));
        }
        centre.events.schedule(Duration::from_secs(2), ScheduledEvent::CallArrives);
        centre.events.schedule(Duration::from_secs(3), ScheduledEvent::ChatArrives);
        centre.events.schedule(Duration::from_secs(5), ScheduledEvent::QueuesReport);
        centre
    }

    /// When [`Simulator::step`] has something to do.
    pub(crate) fn next_at(&self) -> Timestamp {
        self.events.next_at().expect("calls never stop arriving")
    }

    /// Moves the time to [`Simulator::next_at`] and tells what happened then; often nothing, when
    /// something planned could no longer happen.
    pub(crate) fn step(&mut self) -> Vec<Fact> {
        if let Some(event) = self.events.take() {
            self.happen(event);
        }
        std::mem::take(&mut self.facts)
    }

    fn happen(&mut self, event: ScheduledEvent) {
        match event {
            ScheduledEvent::ShiftStarts(agent) => self.shift_starts(agent),
            ScheduledEvent::BreakWanted(agent) => self.break_wanted(agent),
            ScheduledEvent::BreakEnds(agent) => self.break_ends(agent),
            ScheduledEvent::WrapUpEnds(agent) => self.wrap_up_ends(agent),
            ScheduledEvent::CallArrives => self.call_arrives(),
            ScheduledEvent::PatienceEnds(call) => self.patience_ends(call),
            ScheduledEvent::RingEnds(call, agent, ring) => self.ring_ends(call, agent, ring),
            ScheduledEvent::CallMoves(call) => self.call_moves(call),
            ScheduledEvent::ChatArrives => self.chat_arrives(),
            ScheduledEvent::ChatMoves(chat) => self.chat_moves(chat),
            ScheduledEvent::QueuesReport => self.queues_report(),
        }
    }

    /// Gives waiting callers and visitors to available agents.
    fn dispatch(&mut self) {
        while self.ring_next() {}
        while self.assign_next_chat() {}
    }

    fn tell(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    fn schedule(&mut self, seconds: std::ops::Range<f64>, event: ScheduledEvent) {
        let after = Duration::from_secs_f64(self.rng.random_range(seconds));
        self.events.schedule(after, event);
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn next_id(&mut self) -> u64 {
        self.n_started += 1;
        self.n_started
    }

    fn seconds_since(&self, moment: Timestamp) -> i64 {
        (self.events.now().as_millis() - moment.as_millis()) / 1_000
    }
}

#[cfg(test)]
mod tests;
