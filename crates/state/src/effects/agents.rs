//! `agent.*` and `presence.changed`.

use hookswitch_protocol::UserId;
use hookswitch_protocol::payloads::{AVAILABLE, OFFLINE};

use crate::counts::Ignored;
use crate::entries::Agent;
use crate::fields::Fields;
use crate::model::{UNKNOWN, user_key};
use crate::section::Section;
use crate::state::{Effect, State};

impl State {
    pub(crate) fn agent_event(&mut self, event_type: &str, fields: &Fields) -> Effect {
        let user = fields.user("user_id").ok_or(Ignored::NoKey)?;
        let state = match event_type {
            "agent.login" | "agent.break.ended" => AVAILABLE.to_owned(),
            "agent.logout" => OFFLINE.to_owned(),
            "agent.break.started" => "break".to_owned(),
            "agent.state.changed" => fields.text("state").ok_or(Ignored::NoKey)?,
            _ => return Ok(()),
        };
        if !self.know_agent(&user) {
            return Ok(());
        }
        let (at, last_update) = (self.at(), self.last_update());
        let key = user_key(&user);
        if let Some(agent) = self.model.agents.get_mut(&key) {
            if agent.state != state {
                (agent.state, agent.since) = (state, at);
            }
            agent.reason = fields.text("reason");
            agent.extension = fields.text("extension").or(agent.extension.take());
            agent.last_update = last_update;
        }
        self.name_agent(&user, fields.text("username").as_deref());
        self.touch(Section::Agents, &key);
        self.recount(&user);
        Ok(())
    }

    pub(crate) fn presence_event(&mut self, fields: &Fields) -> Effect {
        let user = fields.user("user_id").ok_or(Ignored::NoKey)?;
        let key = user_key(&user);
        match fields.text("state").as_deref() {
            Some("online") if !self.model.online.contains(&key) && !self.has_room() => return Ok(()),
            Some("online") => _ = self.model.online.insert(key.clone()),
            Some("offline") => _ = self.model.online.remove(&key),
            _ => return Err(Ignored::Contradictory),
        }
        let at = self.at();
        if let Some(agent) = self.model.agents.get_mut(&key) {
            agent.last_update.at = at;
            self.touch(Section::Agents, &key);
        }
        Ok(())
    }

    /// Sees to it that there is such an agent; `false` where there is no room for it.
    pub(crate) fn know_agent(&mut self, user: &UserId) -> bool {
        let key = user_key(user);
        if self.model.agents.contains_key(&key) {
            return true;
        }
        if !self.has_room() {
            return false;
        }
        let agent = Agent {
            user_id: user.clone(),
            username: None,
            extension: None,
            state: UNKNOWN.to_owned(),
            reason: None,
            since: self.at(),
            last_update: self.last_update(),
            calls: std::collections::BTreeSet::new(),
            rings: std::collections::BTreeSet::new(),
        };
        self.model.agents.insert(key.clone(), agent);
        self.touch(Section::Agents, &key);
        true
    }

    /// Notes an agent's name where it is told.
    pub(crate) fn name_agent(&mut self, user: &UserId, name: Option<&str>) {
        let key = user_key(user);
        if let (Some(agent), Some(name)) = (self.model.agents.get_mut(&key), name) {
            agent.username = Some(name.to_owned());
            self.touch(Section::Agents, &key);
        }
    }
}
