//! A simulated call centre: agents, queues, calls and chats as state machines on a clock of their own.
//!
//! Pure: no clock, no I/O; time moves to the next thing on the agenda when [`Simulator::step`] is
//! called. Coherent: who rings is called, who talks is busy, every call and chat that began ends, and
//! the reports are counted from the state. The same seed tells the same story.

mod agenda;
mod agents;
mod calls;
mod chats;
mod facts;
mod people;
mod queues;

use std::collections::BTreeMap;
use std::time::Duration;

use hookswitch::protocol::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use self::agenda::{Agenda, CallId, ChatId, Due};
use self::agents::Agent;
use self::calls::Call;
use self::chats::Chat;
pub(crate) use self::facts::*;
pub(crate) use self::people::SUPERVISOR;
use self::queues::Queue;

/// Events per second that the call centre produces on its own clock, on average, once all agents
/// have logged in. A test holds it.
pub(crate) const NATURAL_RATE: f64 = 2.0;

/// The call centre.
#[derive(Debug)]
pub(crate) struct Simulator {
    agenda: Agenda,
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
            agenda: Agenda::new(start),
            rng: StdRng::seed_from_u64(seed),
            agents: agents::hired(),
            queues: queues::opened(),
            calls: BTreeMap::new(),
            chats: BTreeMap::new(),
            run: start.as_millis() / 1_000,
            n_started: 0,
            facts: Vec::new(),
        };
        for at in 0..centre.agents.len() {
            centre.agenda.plan(Duration::from_millis(300 * at as u64 + 200), Due::ShiftStarts(at));
        }
        centre.agenda.plan(Duration::from_secs(2), Due::CallArrives);
        centre.agenda.plan(Duration::from_secs(3), Due::ChatArrives);
        centre.agenda.plan(Duration::from_secs(5), Due::QueuesReport);
        centre
    }

    /// When [`Simulator::step`] has something to do.
    pub(crate) fn next_at(&self) -> Timestamp {
        self.agenda.next_at().expect("calls never stop arriving")
    }

    /// Moves the time to [`Simulator::next_at`] and tells what happened then; often nothing, when
    /// something planned could no longer happen.
    pub(crate) fn step(&mut self) -> Vec<Fact> {
        if let Some(due) = self.agenda.take() {
            self.happen(due);
        }
        std::mem::take(&mut self.facts)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::ShiftStarts(agent) => self.shift_starts(agent),
            Due::BreakWanted(agent) => self.break_wanted(agent),
            Due::BreakEnds(agent) => self.break_ends(agent),
            Due::WrapUpEnds(agent) => self.wrap_up_ends(agent),
            Due::CallArrives => self.call_arrives(),
            Due::PatienceEnds(call) => self.patience_ends(call),
            Due::RingEnds(call, agent, ring) => self.ring_ends(call, agent, ring),
            Due::CallMoves(call) => self.call_moves(call),
            Due::ChatArrives => self.chat_arrives(),
            Due::ChatMoves(chat) => self.chat_moves(chat),
            Due::QueuesReport => self.queues_report(),
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

    fn plan(&mut self, seconds: std::ops::Range<f64>, due: Due) {
        let after = Duration::from_secs_f64(self.rng.random_range(seconds));
        self.agenda.plan(after, due);
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
        (self.agenda.now().as_millis() - moment.as_millis()) / 1_000
    }
}

#[cfg(test)]
mod tests;
