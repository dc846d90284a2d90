//! What an agent does: of several things the first in the order of the contract.

use super::{Model, events::Fields, types::Channel};
use crate::message::Message;

impl Model {
    pub(crate) fn device_state(&mut self, m: &Message<'_>) {
        self.device(&m.text("Device"), &m.text("State"));
    }

    pub(crate) fn device(&mut self, device: &str, state: &str) {
        if device.starts_with("Local/") {
            return;
        }
        let Some(agent) = self.who.agent(device) else { return };
        if self.agents.len() >= super::MOST && !self.agents.contains_key(&agent) {
            return;
        }
        let offline = matches!(state, "UNAVAILABLE" | "INVALID");
        let entry = self.agents.entry(agent.clone()).or_default();
        if entry.extension.is_empty() {
            device.rsplit('/').next().unwrap_or_default().clone_into(&mut entry.extension);
        }
        if entry.offline != offline {
            entry.offline = offline;
            self.changed_agents.insert(agent);
        }
    }

    pub(crate) fn pool_login(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let Some(channel) = self.channels.get_mut(&uid) else { return };
        channel.pool = true;
        let (agent, call) = (channel.agent.clone(), channel.call.clone());
        if let Some(call) = self.calls.get_mut(&call) {
            call.served = true;
        }
        let Some(agent) = agent else { return };
        self.agents.entry(agent.clone()).or_default().pool = true;
        self.tell_agent("agent.login", &agent, &uid, None);
    }

    pub(crate) fn pool_logoff(&mut self, m: &Message<'_>) {
        let uid = m.text("Uniqueid").into_owned();
        let known = self.channels.get(&uid).and_then(|channel| channel.agent.clone());
        let agent = known.or_else(|| self.who.agent(crate::identity::endpoint(&m.text("Channel"))));
        if let Some(agent) = agent {
            self.logged_off(&agent, &uid);
        }
        if let Some(channel) = self.channels.get_mut(&uid) {
            channel.pool = false;
        }
    }

    fn logged_off(&mut self, agent: &str, uid: &str) {
        let entry = self.agents.entry(agent.to_owned()).or_default();
        if std::mem::take(&mut entry.pool) {
            self.tell_agent("agent.logout", agent, uid, None);
        }
    }

    /// The login's channel has gone; what says so may come later, or be lost.
    pub(crate) fn pool_gone(&mut self, channel: &Channel) {
        if let Some(agent) = &channel.agent {
            self.logged_off(agent, &channel.uid);
        }
    }

    pub(crate) fn tell_agents(&mut self) {
        while let Some(agent) = self.changed_agents.pop_first() {
            self.tell_agent_state(&agent);
        }
    }

    fn tell_agent_state(&mut self, agent: &str) {
        let state = self.state_of(agent);
        let now = self.now;
        let quiet = self.syncing.is_some();
        let Some(entry) = self.agents.get_mut(agent) else { return };
        let changed = entry.is != Some(state);
        let first = entry.is.replace(state).is_none();
        if changed {
            entry.since = now;
        }
        // What enters by a sync is told to those who were told something else before, when the sync is through.
        let is_news = entry.told.map_or(changed && !(first && state == "available"), |told| told != state);
        if quiet || !is_news {
            return;
        }
        entry.told = Some(state);
        entry.changes += 1;
        let reason = entry.reason.clone().filter(|_| state == "break");
        let name = entry.name.clone().unwrap_or_else(|| entry.extension.clone());
        let what = format!("{agent}:{state}:{}@{now}", entry.changes);
        let fields = Fields::default()
            .id("user_id", Some(&agent.to_owned()))
            .with("username", name)
            .with("state", state)
            .with("extension", entry.extension.clone())
            .maybe("reason", reason);
        self.push("agent.state.changed", &what, fields.into_map());
    }

    /// The first that holds of: offline, on hold, on a call, ringing, on a break, available.
    pub(crate) fn state_of(&self, agent: &str) -> &'static str {
        let Some(entry) = self.agents.get(agent) else { return "available" };
        let own = || entry.channels.iter().filter_map(|uid| self.channels.get(uid));
        if entry.offline && entry.channels.is_empty() {
            "offline"
        } else if own().any(|channel| self.holds(channel)) {
            "on_hold"
        } else if own().any(|channel| self.is_on_call(channel)) {
            "on_call"
        } else if own().any(|channel| channel.ringing && !channel.answered) {
            "ringing"
        } else if self.standing(Some(&agent.to_owned())).1 {
            "break"
        } else {
            "available"
        }
    }

    fn holds(&self, channel: &Channel) -> bool {
        [Some(&channel.call), channel.serving.as_ref()]
            .into_iter()
            .flatten()
            .any(|call| self.calls.get(call).is_some_and(|call| call.hold.has(&channel.uid)))
    }

    fn is_on_call(&self, channel: &Channel) -> bool {
        if channel.pool {
            return channel.serving.is_some();
        }
        let dialled_out = self.calls.get(&channel.uid).is_some_and(|call| call.begin == super::types::Begin::Phone);
        channel.answered || dialled_out || (channel.up && channel.dialler.is_none())
    }
}
