//! Tells the simulated call centre's story in real time, through the same broadcaster as any service.

use std::time::Duration;

use hookswitch::payloads::ChatMessage;
use hookswitch::protocol::{EventId, EventType, NewEvent, Payload, TenantId, Timestamp};
use hookswitch::runtime::Clock;
use hookswitch::{AcceptError, Broadcaster};
use serde::Serialize;
use tokio::time::Instant;

use super::desks::Desks;
use super::sim::{AgentStep, CallStep, ChatStep, Fact, MemberStep, NATURAL_RATE, Simulator};

/// Publishes what happens, `rate` events per second on average, until nothing is accepted any more.
/// At another than the natural rate the call centre's clock runs faster or slower than ours.
pub(super) async fn play(mut centre: Simulator, start: Timestamp, rate: f64, mut publisher: Publisher) {
    let (started, speed) = (Instant::now(), rate / NATURAL_RATE);
    loop {
        let simulated = Duration::from_millis((centre.next_at().as_millis() - start.as_millis()).max(0) as u64);
        tokio::time::sleep_until(started + simulated.div_f64(speed)).await;
        for fact in centre.step() {
            publisher.desks.follow(&fact).await;
            match publisher.publish(fact).await {
                Ok(()) => {}
                Err(AcceptError::Stopping) => return,
                Err(error) => tracing::warn!(%error, "a simulated event was not accepted"),
            }
        }
    }
}

/// One tenant's voice.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) broadcaster: Broadcaster,
    pub(super) tenant: TenantId,
    /// What is said is said now, also when the call centre's clock runs faster.
    pub(super) clock: Clock,
    pub(super) desks: Desks,
}

impl Publisher {
    async fn publish(&self, fact: Fact) -> Result<(), AcceptError> {
        let (to, tenant) = (&self.broadcaster, &self.tenant);
        let published = match fact {
            Fact::Agent(AgentStep::Login, agent) => to.agent_login(tenant, agent).await,
            Fact::Agent(AgentStep::Logout, agent) => to.agent_logout(tenant, agent).await,
            Fact::Agent(AgentStep::State, agent) => to.agent_state_change(tenant, agent).await,
            Fact::Agent(AgentStep::BreakStarted, agent) => self.other(EventType::AGENT_BREAK_STARTED, &agent).await,
            Fact::Agent(AgentStep::BreakEnded, agent) => self.other(EventType::AGENT_BREAK_ENDED, &agent).await,
            Fact::Member(MemberStep::Added, member) => to.queue_member_added(tenant, member).await,
            Fact::Member(MemberStep::Removed, member) => to.queue_member_removed(tenant, member).await,
            Fact::Member(MemberStep::Paused, member) => to.queue_member_paused(tenant, member).await,
            Fact::Member(MemberStep::Unpaused, member) => to.queue_member_unpaused(tenant, member).await,
            Fact::Call(CallStep::Incoming, call) => to.call_incoming(tenant, call).await,
            Fact::Call(CallStep::Answered, call) => to.call_answered(tenant, call).await,
            Fact::Call(CallStep::Hold, call) => to.call_hold(tenant, call).await,
            Fact::Call(CallStep::Unhold, call) => to.call_unhold(tenant, call).await,
            Fact::Call(CallStep::Transferred, call) => to.call_transferred(tenant, call).await,
            Fact::Call(CallStep::Ended, call) => to.call_ended(tenant, call).await,
            Fact::QueueJoined(call) => to.queue_joined(tenant, call).await,
            Fact::QueueLeft(call) => to.queue_left(tenant, call).await,
            Fact::QueueStats(stats) => to.update_queue_stats(tenant, stats).await,
            Fact::Chat(ChatStep::Started, session) => to.chat_session_started(tenant, session).await,
            Fact::Chat(ChatStep::Assigned, session) => self.other(EventType::CHAT_AGENT_ASSIGNED, &session).await,
            Fact::Chat(ChatStep::Transferred, session) => to.chat_transferred(tenant, session).await,
            Fact::Chat(ChatStep::Ended, session) => to.chat_session_ended(tenant, session).await,
            Fact::Message(message) => {
                let timestamp = self.clock.now();
                to.chat_message_sent(tenant, ChatMessage { timestamp, ..message }).await
            }
            Fact::Typing(typing) => to.chat_typing_indicator(tenant, typing).await,
            Fact::Notification(user, note) => to.send_notification(tenant, user, note).await,
            Fact::Alert(alert) => to.send_alert(tenant, alert).await,
        };
        published.map(drop)
    }

    /// Event types that have no call of their own.
    async fn other(&self, event_type: EventType, payload: &(impl Serialize + Sync)) -> Result<EventId, AcceptError> {
        let event = NewEvent::new(event_type, Payload::from_serialize(payload)?);
        self.broadcaster.publish(&self.tenant, event).await
    }
}
