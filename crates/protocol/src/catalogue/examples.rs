//! Payloads with every field filled in.

use crate::payloads::{
    Agent, Call, ChatMessage, ChatSession, ChatTyping, INBOUND, Notification, PresenceCause, PresenceChanged,
    PresenceWord, QueueMember, QueueStats, VISITOR, WebhookDisabled,
};
use crate::{Payload, SessionKey, Timestamp, UserId, WebhookId};

/// A moment in 2025.
const NOON: Timestamp = Timestamp::from_millis(1_761_393_600_123);

pub(super) fn agent(state: &str) -> Agent {
    Agent { reason: "lunch".into(), extension: "100".into(), ..Agent::new(456, "Ada Byron").in_state(state) }
}

pub(super) fn call() -> Call {
    Call {
        caller_id: "+15550100".into(),
        caller_name: "Maria Gomez".into(),
        destination: "8001".into(),
        channel: "PJSIP/trunk-1".into(),
        destination_channel: "PJSIP/100-2".into(),
        agent_id: Some(UserId::from(456)),
        agent_name: "Ada Byron".into(),
        queue_name: "support".into(),
        direction: INBOUND.into(),
        duration: 61,
        ..Call::new("1729866000.17")
    }
}

pub(super) fn stats() -> QueueStats {
    QueueStats {
        calls_waiting: 3,
        available_agents: 7,
        logged_in_agents: 12,
        talking_agents: 5,
        longest_wait_time: 41,
        average_wait_time: 12,
        completed_calls: 230,
        abandoned_calls: 4,
        ..QueueStats::new("support")
    }
}

pub(super) fn member() -> QueueMember {
    QueueMember {
        username: "Ada Byron".into(),
        interface: "PJSIP/100".into(),
        penalty: 2,
        ..QueueMember::new("support", 456)
    }
}

pub(super) fn chat_session() -> ChatSession {
    ChatSession {
        session_key: Some(SessionKey::parse("k-7f3a").expect("legal")),
        visitor_name: "Maria Gomez".into(),
        visitor_email: "maria@example.com".into(),
        agent_id: Some(UserId::from(456)),
        agent_name: "Ada Byron".into(),
        ..ChatSession::new(88, "active")
    }
}

pub(super) fn chat_message() -> ChatMessage {
    ChatMessage {
        sender_id: Some(UserId::from(456)),
        sender_type: "agent".into(),
        sender_name: "Ada Byron".into(),
        ..ChatMessage::new(88, "m-9", "Good day, how can I help?", NOON)
    }
}

pub(super) fn chat_typing() -> ChatTyping {
    ChatTyping { sender_type: VISITOR.into(), sender_name: "Maria Gomez".into(), ..ChatTyping::new("k-7f3a") }
}

pub(super) fn notification() -> Notification {
    let data = Payload::parse(r#"{"ticket":7}"#).expect("an object");
    Notification { kind: "info".into(), data: Some(data), ..Notification::new("n-1", "New ticket", "Please look") }
}

pub(super) fn presence() -> PresenceChanged {
    PresenceChanged { user_id: UserId::from(456), state: PresenceWord::Online, cause: PresenceCause::Connected }
}

pub(super) fn disabled() -> WebhookDisabled {
    WebhookDisabled {
        webhook_id: WebhookId(42),
        name: "CRM".into(),
        reason: "failing".into(),
        consecutive_failures: 12,
        failing_since: Some(NOON),
        disabled_at: NOON,
    }
}
