//! Agents: shifts, breaks, wrap-up, and who is free.

use hookswitch::protocol::payloads;

use super::Simulator;
use super::event_queue::{AgentAt, CallId, ChatId, ScheduledEvent};
use super::facts::{AgentStep, Fact, MemberStep};
use super::people::{AGENT_PROFILES, QUEUES};

/// One agent and what it does now.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) user: i64,
    pub(super) name: &'static str,
    pub(super) queues: &'static [usize],
    pub(super) activity: Activity,
}

/// What an agent does; one thing at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    Offline,
    Available,
    Ringing(CallId),
    Talking(CallId),
    Chatting(ChatId),
    WrapUp,
    Break,
}

impl Activity {
    /// State and reason, as the events tell it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Offline => (payloads::OFFLINE, ""),
            Self::Available => (payloads::AVAILABLE, ""),
            Self::Ringing(_) => ("ringing", ""),
            Self::Talking(_) => ("busy", "call"),
            Self::Chatting(_) => ("busy", "chat"),
            Self::WrapUp => ("wrap_up", ""),
            Self::Break => ("break", "coffee"),
        }
    }
}

pub(super) fn all_agents() -> Vec<Agent> {
    let agent = |profile: &super::people::AgentProfile| Agent {
        user: profile.user,
        name: profile.name,
        queues: profile.queues,
        activity: Activity::Offline,
    };
    AGENT_PROFILES.iter().map(agent).collect()
}

impl Agent {
    /// Extensions are the user id with a leading 1: `1101`.
    pub(super) fn interface(&self) -> String {
        format!("SIP/1{}", self.user)
    }

    fn fact(&self) -> payloads::Agent {
        let (state, reason) = self.activity.words();
        let extension = format!("1{}", self.user);
        payloads::Agent {
            reason: reason.to_owned(),
            extension,
            ..payloads::Agent::new(self.user, self.name).in_state(state)
        }
    }

    fn member_fact(&self, queue: usize) -> payloads::QueueMember {
        payloads::QueueMember {
            username: self.name.to_owned(),
            interface: self.interface(),
            paused: self.activity == Activity::Break,
            ..payloads::QueueMember::new(QUEUES[queue].0, self.user)
        }
    }
}

impl Simulator {
    /// Changes what an agent does and tells it.
    pub(super) fn set_activity(&mut self, at: AgentAt, activity: Activity) {
        self.agents[at].activity = activity;
        self.tell_agent(at, AgentStep::State);
    }

    /// An available agent of this queue, the one after the last who was called.
    pub(super) fn available_in(&self, queue: usize) -> Option<AgentAt> {
        let last = self.queues[queue].last_called;
        let n_agents = self.agents.len();
        let mut in_turn = (1..=n_agents).map(|step| (last + step) % n_agents);
        in_turn.find(|&at| self.agents[at].activity == Activity::Available && self.agents[at].queues.contains(&queue))
    }

    pub(super) fn shift_starts(&mut self, at: AgentAt) {
        self.agents[at].activity = Activity::Available;
        self.tell_agent(at, AgentStep::Login);
        self.tell_member(at, MemberStep::Added);
        self.schedule(60.0..400.0, ScheduledEvent::BreakWanted(at));
        self.dispatch();
    }

    /// Mostly coffee, sometimes the end of the shift. Who is busy asks again later.
    pub(super) fn break_wanted(&mut self, at: AgentAt) {
        if self.agents[at].activity != Activity::Available {
            return self.schedule(10.0..30.0, ScheduledEvent::BreakWanted(at));
        }
        if self.chance(0.2) {
            self.tell_member(at, MemberStep::Removed);
            self.agents[at].activity = Activity::Offline;
            self.tell_agent(at, AgentStep::Logout);
            return self.schedule(30.0..90.0, ScheduledEvent::ShiftStarts(at));
        }
        self.goes_on_break(at);
    }

    pub(super) fn goes_on_break(&mut self, at: AgentAt) {
        self.set_activity(at, Activity::Break);
        self.tell_agent(at, AgentStep::BreakStarted);
        self.tell_member(at, MemberStep::Paused);
        self.schedule(20.0..60.0, ScheduledEvent::BreakEnds(at));
    }

    pub(super) fn break_ends(&mut self, at: AgentAt) {
        self.set_activity(at, Activity::Available);
        self.tell_agent(at, AgentStep::BreakEnded);
        self.tell_member(at, MemberStep::Unpaused);
        self.schedule(60.0..400.0, ScheduledEvent::BreakWanted(at));
        self.dispatch();
    }

    pub(super) fn wraps_up(&mut self, at: AgentAt) {
        self.set_activity(at, Activity::WrapUp);
        self.schedule(4.0..12.0, ScheduledEvent::WrapUpEnds(at));
    }

    pub(super) fn wrap_up_ends(&mut self, at: AgentAt) {
        self.set_activity(at, Activity::Available);
        self.dispatch();
    }

    fn tell_agent(&mut self, at: AgentAt, step: AgentStep) {
        let fact = self.agents[at].fact();
        self.tell(Fact::Agent(step, fact));
    }

    fn tell_member(&mut self, at: AgentAt, step: MemberStep) {
        for &queue in self.agents[at].queues {
            let fact = self.agents[at].member_fact(queue);
            self.tell(Fact::Member(step, fact));
        }
    }
}
