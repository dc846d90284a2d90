//! The typed calls, one per thing that happens in a call centre.

use hookswitch_protocol::payloads::{
    AVAILABLE, Agent, Alert, Call, ChatMessage, ChatSession, ChatTyping, INBOUND, NewChatMessage, Notification,
    OFFLINE, QueueMember, QueueStats,
};
use hookswitch_protocol::{EventId, EventType, TenantId, UserId};

use super::Broadcaster;
use crate::error::AcceptError;

macro_rules! calls {
    ($($name:ident($payload:ident) = $event_type:ident $wire:literal $meaning:literal;)*) => {
        impl Broadcaster {
            $(#[doc = concat!("`", $wire, "`: ", $meaning)]
            pub async fn $name(&self, tenant: &TenantId, payload: $payload) -> Result<EventId, AcceptError> {
                self.send(tenant, EventType::$event_type, None, &payload).await
            })*
        }
    };
}

calls! {
    agent_state_change(Agent) = AGENT_STATE_CHANGED "agent.state.changed" "an agent is in another state.";
    call_answered(Call) = CALL_ANSWERED "call.answered" "an agent took the call.";
    call_ended(Call) = CALL_ENDED "call.ended" "the call is over; `duration` says how long it took.";
    call_transferred(Call) = CALL_TRANSFERRED "call.transferred" "the call went to somebody else.";
    call_hold(Call) = CALL_HOLD "call.hold" "the caller was put on hold.";
    call_unhold(Call) = CALL_UNHOLD "call.unhold" "the caller is back from hold.";
    queue_joined(Call) = QUEUE_JOINED "queue.joined" "the caller waits in a queue.";
    queue_left(Call) = QUEUE_LEFT "queue.left" "the caller waits no longer.";
    queue_member_added(QueueMember) = QUEUE_MEMBER_ADDED "queue.member.added" "an agent serves a queue.";
    queue_member_removed(QueueMember) = QUEUE_MEMBER_REMOVED "queue.member.removed" "an agent serves a queue no longer.";
    queue_member_paused(QueueMember) = QUEUE_MEMBER_PAUSED "queue.member.paused" "an agent takes a break from a queue.";
    queue_member_unpaused(QueueMember) = QUEUE_MEMBER_UNPAUSED "queue.member.unpaused" "an agent is back in a queue.";
    update_queue_stats(QueueStats) = QUEUE_STATS "queue.stats" "how a queue stands.";
    chat_session_started(ChatSession) = CHAT_SESSION_STARTED "chat.session.started"
        "a chat begins; from here on its visitor may connect. [`AcceptError::SessionTaken`] when its key is another tenant's.";
    chat_message_sent(ChatMessage) = CHAT_MESSAGE "chat.message" "somebody said something in a chat.";
    chat_message_new(NewChatMessage) = CHAT_MESSAGE_NEW "chat.message.new" "the same, for clients that know this type only.";
    chat_typing_indicator(ChatTyping) = CHAT_TYPING "chat.typing" "somebody types, or has stopped.";
    chat_transferred(ChatSession) = CHAT_TRANSFERRED "chat.transferred" "the chat went to another agent.";
    chat_session_ended(ChatSession) = CHAT_SESSION_ENDED "chat.session.ended"
        "a chat is over; its visitor is told and disconnected.";
    send_alert(Alert) = ALERT "alert" "a warning to the whole tenant.";
}

impl Broadcaster {
    /// `agent.login`: an agent came to work; its state is `available`.
    pub async fn agent_login(&self, tenant: &TenantId, payload: Agent) -> Result<EventId, AcceptError> {
        self.send(tenant, EventType::AGENT_LOGIN, None, &payload.in_state(AVAILABLE)).await
    }

    /// `agent.logout`: an agent went home; its state is `offline`.
    pub async fn agent_logout(&self, tenant: &TenantId, payload: Agent) -> Result<EventId, AcceptError> {
        self.send(tenant, EventType::AGENT_LOGOUT, None, &payload.in_state(OFFLINE)).await
    }

    /// `call.incoming`: it rings; the direction is `inbound`.
    pub async fn call_incoming(&self, tenant: &TenantId, payload: Call) -> Result<EventId, AcceptError> {
        let payload = Call { direction: INBOUND.to_owned(), ..payload };
        self.send(tenant, EventType::CALL_INCOMING, None, &payload).await
    }

    /// `notification`: a note to one user, kept when the user is away.
    pub async fn send_notification(
        &self,
        tenant: &TenantId,
        user: UserId,
        payload: Notification,
    ) -> Result<EventId, AcceptError> {
        self.send(tenant, EventType::NOTIFICATION, Some(user), &payload).await
    }
}
