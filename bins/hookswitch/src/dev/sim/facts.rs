//! What happens in the simulated call centre, before anyone publishes it.

use hookswitch::protocol::UserId;
use hookswitch::protocol::payloads::{
    Agent, Alert, Call, ChatMessage, ChatSession, ChatTyping, Notification, QueueMember, QueueStats,
};

/// One thing that happened, with its payload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Agent(AgentStep, Agent),
    Member(MemberStep, QueueMember),
    Call(CallStep, Call),
    QueueJoined(Call),
    QueueLeft(Call),
    QueueStats(QueueStats),
    Chat(ChatStep, ChatSession),
    Message(ChatMessage),
    Typing(ChatTyping),
    Notification(UserId, Notification),
    Alert(Alert),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentStep {
    Login,
    Logout,
    State,
    BreakStarted,
    BreakEnded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberStep {
    Added,
    Removed,
    Paused,
    Unpaused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStep {
    Incoming,
    Answered,
    Hold,
    Unhold,
    Transferred,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChatStep {
    Started,
    Assigned,
    Transferred,
    Ended,
}
