//! The domain facts.

use super::examples::{
    agent, call, chat_message, chat_session, chat_typing, disabled, member, notification, presence, stats,
};
use super::pbx::{parked, ring_ended, source};
use super::{Kind, MessageDescription};
use crate::payloads::Alert;
use crate::{EventType, Payload};

/// What publishers tell.
pub(super) fn events() -> Vec<MessageDescription> {
    [agents(), calls(), queues(), chats(), others()].concat()
}

/// What the server tells to those who subscribed to it by name.
pub(super) fn opt_in() -> Vec<MessageDescription> {
    let of_ours = |event_type, summary, example: &dyn Described| example.describe(event_type, Kind::OptIn, summary);
    vec![
        of_ours(EventType::PRESENCE_CHANGED, "A user came online or went offline, over all nodes.", &presence()),
        of_ours(
            EventType::WEBHOOK_DISABLED,
            "A webhook was switched off because its receiver does not take deliveries; told to administrators.",
            &disabled(),
        ),
        of_ours(EventType::CALL_OUTGOING, "An agent calls somebody.", &call()),
        of_ours(EventType::CALL_RINGING, "An agent's phone rings.", &call()),
        of_ours(EventType::CALL_RING_ENDED, "A phone rings no longer, and nobody answered there.", &ring_ended()),
        of_ours(EventType::CALL_PARKED, "A call waits in a parking space.", &parked()),
        of_ours(EventType::SOURCE_LOST, "A source of events, such as a telephone switch, is out of reach.", &source()),
        of_ours(EventType::SOURCE_BACK, "A source of events is there again.", &source()),
    ]
}

fn event(event_type: EventType, summary: &'static str, example: &dyn Described) -> MessageDescription {
    example.describe(event_type, Kind::Event, summary)
}

fn agents() -> Vec<MessageDescription> {
    vec![
        event(EventType::AGENT_STATE_CHANGED, "An agent's state is another one.", &agent("busy")),
        event(EventType::AGENT_LOGIN, "An agent has come to work.", &agent("available")),
        event(EventType::AGENT_LOGOUT, "An agent has gone home.", &agent("offline")),
        event(EventType::AGENT_BREAK_STARTED, "An agent takes a break.", &agent("break")),
        event(EventType::AGENT_BREAK_ENDED, "An agent is back from a break.", &agent("available")),
    ]
}

fn calls() -> Vec<MessageDescription> {
    vec![
        event(EventType::CALL_INCOMING, "A call comes in.", &call()),
        event(EventType::CALL_ANSWERED, "An agent has answered a call.", &call()),
        event(EventType::CALL_ENDED, "A call is over.", &call()),
        event(EventType::CALL_TRANSFERRED, "A call was passed on.", &call()),
        event(EventType::CALL_HOLD, "A caller was put on hold.", &call()),
        event(EventType::CALL_UNHOLD, "A caller is off hold.", &call()),
    ]
}

fn queues() -> Vec<MessageDescription> {
    vec![
        event(EventType::QUEUE_JOINED, "A caller waits in a queue.", &call()),
        event(EventType::QUEUE_LEFT, "A caller waits in a queue no longer.", &call()),
        event(EventType::QUEUE_STATS, "The figures of one queue.", &stats()),
        event(EventType::QUEUE_STATS_UPDATED, "The figures of one queue, as some deployments name it.", &stats()),
        event(EventType::QUEUE_MEMBER_ADDED, "An agent serves a queue.", &member()),
        event(EventType::QUEUE_MEMBER_REMOVED, "An agent serves a queue no longer.", &member()),
        event(EventType::QUEUE_MEMBER_PAUSED, "An agent takes no calls of a queue for now.", &member()),
        event(EventType::QUEUE_MEMBER_UNPAUSED, "An agent takes calls of a queue again.", &member()),
    ]
}

fn chats() -> Vec<MessageDescription> {
    vec![
        event(EventType::CHAT_SESSION_STARTED, "A chat session begins: visitors may connect to it.", &chat_session()),
        event(EventType::CHAT_SESSION_CREATED, "The same, as some deployments name it.", &chat_session()),
        event(EventType::CHAT_SESSION_ASSIGNED, "A chat session was given to an agent.", &chat_session()),
        event(EventType::CHAT_SESSION_ENDED, "A chat session is over: its visitors are disconnected.", &chat_session()),
        event(EventType::CHAT_MESSAGE, "Somebody said something in a chat session.", &chat_message()),
        event(EventType::CHAT_MESSAGE_NEW, "The same, as some deployments name it.", &chat_message()),
        event(EventType::CHAT_AGENT_ASSIGNED, "An agent is to take a chat session.", &chat_session()),
        event(EventType::CHAT_AGENT_JOINED, "An agent has joined a chat session.", &chat_session()),
        event(EventType::CHAT_TRANSFERRED, "A chat session was passed on.", &chat_session()),
        event(EventType::CHAT_TYPING, "Somebody types, or has stopped; kept nowhere.", &chat_typing()),
    ]
}

fn others() -> Vec<MessageDescription> {
    vec![
        event(EventType::TICKET_CREATED, "A ticket was made; the payload is your own.", &Payload::empty()),
        event(EventType::NOTIFICATION, "A note to one user.", &notification()),
        event(EventType::ALERT, "A warning to the whole tenant.", &Alert::new("Trunk down", "No calls come in")),
    ]
}

/// Lets lines name payloads of many types.
trait Described {
    fn describe(&self, event_type: EventType, kind: Kind, summary: &'static str) -> MessageDescription;
}

impl<P: schemars::JsonSchema + serde::Serialize> Described for P {
    fn describe(&self, event_type: EventType, kind: Kind, summary: &'static str) -> MessageDescription {
        MessageDescription::of(event_type, kind, summary, self)
    }
}
