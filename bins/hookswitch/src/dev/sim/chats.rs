//! Chats: a visitor asks, an agent is assigned, they write in turn, and it ends.

use std::collections::VecDeque;

use hookswitch::protocol::UserId;
use hookswitch::protocol::payloads::{ChatMessage, ChatSession, ChatTyping, VISITOR};

use super::Simulator;
use super::agents::Activity;
use super::event_queue::{AgentAt, ChatId, ScheduledEvent};
use super::facts::{ChatStep, Fact};
use super::people::{AGENT_LINES, CALLERS, VISITOR_LINES};

/// One chat session, from its start to its end.
#[derive(Debug)]
pub(super) struct Chat {
    session: String,
    visitor: &'static str,
    pub(super) agent: Option<AgentAt>,
    n_messages: usize,
    /// What will still happen, once an agent is there.
    plan: VecDeque<Move>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    VisitorTypes,
    VisitorWrites(&'static str),
    AgentTypes,
    AgentWrites(&'static str),
    Transfer,
    End,
}

impl Simulator {
    pub(super) fn chat_arrives(&mut self) {
        self.schedule(35.0..70.0, ScheduledEvent::ChatArrives);
        let id = self.next_id();
        let mut plan = VecDeque::new();
        for (at, (question, answer)) in VISITOR_LINES.into_iter().zip(AGENT_LINES).enumerate() {
            plan.extend([
                Move::VisitorTypes,
                Move::VisitorWrites(question),
                Move::AgentTypes,
                Move::AgentWrites(answer),
            ]);
            if at == 2 && self.chance(0.25) {
                plan.push_back(Move::Transfer);
            }
        }
        plan.push_back(Move::End);
        let visitor = self.pick(&CALLERS);
        let session = format!("demo-{}-{id}", self.run);
        self.chats.insert(id, Chat { session, visitor, agent: None, n_messages: 0, plan });
        self.tell_chat(id, ChatStep::Started);
        self.dispatch();
    }

    /// Gives the oldest waiting chat to an available agent of the first queue. Whether there was one.
    pub(super) fn assign_next_chat(&mut self) -> bool {
        let waiting = self.chats.iter().find(|(_, chat)| chat.agent.is_none()).map(|(id, _)| *id);
        let (Some(id), Some(agent)) = (waiting, self.available_in(0)) else { return false };
        self.queues[0].last_called = agent;
        self.chat_mut(id).agent = Some(agent);
        self.tell_chat(id, ChatStep::Assigned);
        self.set_activity(agent, Activity::Chatting(id));
        self.schedule(1.0..2.0, ScheduledEvent::ChatMoves(id));
        true
    }

    pub(super) fn chat_moves(&mut self, id: ChatId) {
        let Some(chat) = self.chats.get_mut(&id) else { return };
        let Some(agent) = chat.agent else { return };
        match chat.plan.pop_front().unwrap_or(Move::End) {
            Move::VisitorTypes => self.tell_typing(id, None),
            Move::VisitorWrites(body) => self.tell_message(id, None, body),
            Move::AgentTypes => self.tell_typing(id, Some(agent)),
            Move::AgentWrites(body) => self.tell_message(id, Some(agent), body),
            Move::Transfer => self.transfer_chat(id, agent),
            Move::End => return self.end_chat(id, agent),
        }
        self.schedule(1.0..5.0, ScheduledEvent::ChatMoves(id));
    }

    /// Hands the chat to another available agent; without one the talk goes on.
    fn transfer_chat(&mut self, id: ChatId, from: AgentAt) {
        let Some(to) = self.available_in(0) else { return };
        self.queues[0].last_called = to;
        self.chat_mut(id).agent = Some(to);
        self.tell_chat(id, ChatStep::Transferred);
        self.set_activity(to, Activity::Chatting(id));
        self.set_activity(from, Activity::Available);
        self.dispatch();
    }

    fn end_chat(&mut self, id: ChatId, agent: AgentAt) {
        self.tell_chat(id, ChatStep::Ended);
        self.chats.remove(&id);
        self.wraps_up(agent);
    }

    fn chat_mut(&mut self, id: ChatId) -> &mut Chat {
        self.chats.get_mut(&id).expect("only living chats are looked up")
    }

    fn tell_chat(&mut self, id: ChatId, step: ChatStep) {
        let chat = &self.chats[&id];
        let status = match step {
            ChatStep::Started => "waiting",
            ChatStep::Assigned | ChatStep::Transferred => "active",
            ChatStep::Ended => "ended",
        };
        let agent = chat.agent.map(|at| &self.agents[at]);
        let fact = ChatSession {
            visitor_name: chat.visitor.to_owned(),
            agent_id: agent.map(|agent| UserId::from(agent.user)),
            agent_name: agent.map_or_else(String::new, |agent| agent.name.to_owned()),
            ..ChatSession::new(chat.session.as_str(), status)
        };
        self.tell(Fact::Chat(step, fact));
    }

    /// `agent` writes, or the visitor where there is none.
    fn tell_typing(&mut self, id: ChatId, agent: Option<AgentAt>) {
        let chat = &self.chats[&id];
        let (sender_type, sender_name) = self.sender(chat, agent);
        let fact = ChatTyping { sender_type, sender_name, ..ChatTyping::new(chat.session.as_str()) };
        self.tell(Fact::Typing(fact));
    }

    fn tell_message(&mut self, id: ChatId, agent: Option<AgentAt>, body: &str) {
        self.chat_mut(id).n_messages += 1;
        let chat = &self.chats[&id];
        let (sender_type, sender_name) = self.sender(chat, agent);
        let message_id = format!("{}-{}", chat.session, chat.n_messages);
        let fact = ChatMessage {
            sender_id: agent.map(|at| UserId::from(self.agents[at].user)),
            sender_type,
            sender_name,
            ..ChatMessage::new(chat.session.as_str(), message_id, body, self.events.now())
        };
        self.tell(Fact::Message(fact));
    }

    /// Type and name.
    fn sender(&self, chat: &Chat, agent: Option<AgentAt>) -> (String, String) {
        agent.map_or_else(
            || (VISITOR.to_owned(), chat.visitor.to_owned()),
            |at| ("agent".to_owned(), self.agents[at].name.to_owned()),
        )
    }
}
