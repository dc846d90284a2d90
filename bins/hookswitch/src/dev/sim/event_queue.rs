//! What happens next: things to come, by time, and in the order they were planned.

use std::collections::BTreeMap;
use std::time::Duration;

use hookswitch::protocol::Timestamp;

/// Identifies a call for the length of the simulation.
pub(super) type CallId = u64;
/// Identifies a chat for the length of the simulation.
pub(super) type ChatId = u64;
/// An agent's place in the list of agents.
pub(super) type AgentAt = usize;

/// Something that will happen, if it still can then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScheduledEvent {
    ShiftStarts(AgentAt),
    /// The agent would like to rest; only one who is available does.
    BreakWanted(AgentAt),
    BreakEnds(AgentAt),
    WrapUpEnds(AgentAt),
    CallArrives,
    /// The caller hangs up if nobody has answered.
    PatienceEnds(CallId),
    RingEnds(CallId, AgentAt, Ring),
    CallMoves(CallId),
    ChatArrives,
    ChatMoves(ChatId),
    QueuesReport,
}

/// How ringing ends, decided when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ring {
    Answered,
    Unheard,
}

/// The list of things to come.
#[derive(Debug)]
pub(super) struct EventQueue {
    now: Timestamp,
    entries: BTreeMap<(Timestamp, u64), ScheduledEvent>,
    planned: u64,
}

impl EventQueue {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { now, entries: BTreeMap::new(), planned: 0 }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn schedule(&mut self, after: Duration, event: ScheduledEvent) {
        let at = Timestamp::from_millis(self.now.as_millis() + after.as_millis() as i64);
        self.planned += 1;
        self.entries.insert((at, self.planned), event);
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.entries.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next entry and moves the time to it.
    pub(super) fn take(&mut self) -> Option<ScheduledEvent> {
        let ((at, _), event) = self.entries.pop_first()?;
        self.now = at;
        Some(event)
    }
}
