//! `chat.*`.

use hookswitch_protocol::Timestamp;
use serde_json::Value;

use crate::counts::Ignored;
use crate::entries::{Chat, LastUpdate};
use crate::fields::{Fields, Key, checked_key};
use crate::section::Section;
use crate::state::{Effect, State};

const ENDED: &str = "ended";

/// What a chat event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Begin,
    Assign,
    Message,
    End,
}

impl Change {
    fn of(event_type: &str) -> Option<Self> {
        match event_type {
            "chat.session.started" | "chat.session.created" => Some(Self::Begin),
            "chat.session.assigned" | "chat.transferred" => Some(Self::Assign),
            "chat.session.ended" => Some(Self::End),
            _ if event_type.starts_with("chat.agent.") => Some(Self::Assign),
            _ if event_type == "chat.message" || event_type.starts_with("chat.message.") => Some(Self::Message),
            _ => None,
        }
    }
}

impl State {
    pub(crate) fn chat_event(&mut self, event_type: &str, fields: &Fields, session: Option<&str>) -> Effect {
        let Some(change) = Change::of(event_type) else { return Ok(()) };
        let key = match session {
            Some(session) => checked_key(session)?,
            None => fields.key_if_told("session_key")?.map_or_else(|| fields.key("session_id"), Ok)?,
        };
        let (at, last_update) = (self.at(), self.last_update());
        if change == Change::Begin && !self.model.chats.contains_key(&key) && !self.has_room() {
            return Ok(());
        }
        match self.model.chats.get_mut(&key) {
            Some(chat) if !chat.is_ended => chat.change(change, fields, at, last_update),
            Some(_) if change != Change::Begin => return Err(Ignored::Late),
            None if change != Change::Begin => return Err(Ignored::Unknown),
            _ => _ = self.model.chats.insert(key.clone(), Chat::begin(&key, fields, at, last_update)),
        }
        self.touch(Section::Chats, &key);
        Ok(())
    }
}

impl Chat {
    fn begin(key: &Key, fields: &Fields, at: Timestamp, last_update: LastUpdate) -> Self {
        let mut chat = Self {
            session_id: fields.session().unwrap_or_else(|| Value::from(&**key)),
            status: String::new(),
            visitor_name: None,
            agent_id: None,
            agent_name: None,
            since: at,
            last_message_at: None,
            is_ended: false,
            last_update,
        };
        chat.change(Change::Begin, fields, at, last_update);
        chat
    }

    fn change(&mut self, change: Change, fields: &Fields, at: Timestamp, last_update: LastUpdate) {
        self.last_update = last_update;
        match change {
            Change::Message => {
                self.last_message_at = Some(at);
                return;
            }
            Change::End => {
                (self.is_ended, self.since) = (true, at);
                ENDED.clone_into(&mut self.status);
                return;
            }
            Change::Begin | Change::Assign => {}
        }
        self.visitor_name = fields.text("visitor_name").or(self.visitor_name.take());
        if let Some(agent) = fields.user("agent_id") {
            if self.agent_id.as_ref() != Some(&agent) {
                self.agent_name = None;
            }
            self.agent_id = Some(agent);
        }
        self.agent_name = fields.text("agent_name").or(self.agent_name.take());
        if let Some(status) = fields.text("status").filter(|status| *status != self.status) {
            self.status = status;
            // Whoever begins a session again has not changed since when it is what it is.
            if change == Change::Assign {
                self.since = at;
            }
        }
    }
}
