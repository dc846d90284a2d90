//! Members of queues come, go, and take breaks.

use super::{Model, events::Fields, types::Member};
use crate::{escape::unescape, message::Message};

impl Model {
    pub(crate) fn member_of_message(&self, m: &Message<'_>) -> Member {
        let either = |one: &str, other: &str| {
            let found = m.text(one);
            if found.is_empty() { m.text(other).into_owned() } else { found.into_owned() }
        };
        let interface = either("Interface", "Location");
        let agent = self.who.agent(&interface).or_else(|| self.who.agent(&m.text("StateInterface")));
        let reason = m.text("PausedReason").into_owned();
        Member {
            queue: m.text("Queue").into_owned(),
            name: unescape(&either("MemberName", "Name")),
            interface,
            agent,
            paused: m.number("Paused") == Some(1),
            reason: (!reason.is_empty()).then_some(reason),
            penalty: m.number("Penalty").unwrap_or_default(),
            dynamic: m.bytes("Membership") == Some(b"dynamic"),
            status: m.number("Status").unwrap_or_default(),
            since: self.now,
        }
    }

    pub(crate) fn member_added(&mut self, m: &Message<'_>) {
        let member = self.member_of_message(m);
        let stamp = m.text("LoginTime").into_owned();
        self.add_member(&member, &stamp, true);
    }

    /// Takes a member in; `aloud` when it came while somebody looked.
    pub(crate) fn add_member(&mut self, member: &Member, stamp: &str, aloud: bool) {
        let key = (member.queue.clone(), member.interface.clone());
        if self.members.contains_key(&key) {
            return self.member_pauses(&key, member, stamp);
        }
        if self.members.len() >= super::MOST {
            return;
        }
        let agent = member.agent.clone();
        self.know_agent(member);
        let (logged_in, paused) = self.standing(agent.as_ref());
        self.members.insert(key, member.clone());
        if !aloud {
            return;
        }
        self.tell_member("queue.member.added", member, stamp);
        if let Some(agent) = agent.filter(|_| member.dynamic && !logged_in) {
            self.tell_agent("agent.login", &agent, stamp, None);
        }
        if let Some(agent) = member.agent.clone().filter(|_| member.paused && !paused) {
            self.tell_agent("agent.break.started", &agent, stamp, member.reason.clone());
        }
    }

    pub(crate) fn member_removed(&mut self, m: &Message<'_>) {
        let key = (m.text("Queue").into_owned(), m.text("Interface").into_owned());
        let stamp = m.text("LoginTime").into_owned();
        self.remove_member(&key, &stamp);
    }

    pub(crate) fn remove_member(&mut self, key: &(String, String), stamp: &str) {
        let Some(mut member) = self.members.remove(key) else { return };
        let paused = std::mem::take(&mut member.paused);
        member.reason = None;
        self.tell_member("queue.member.removed", &member, stamp);
        let (logged_in, still) = self.standing(member.agent.as_ref());
        let Some(agent) = member.agent.clone() else { return };
        if paused && !still {
            self.tell_agent("agent.break.ended", &agent, stamp, None);
        }
        if member.dynamic && !logged_in {
            self.tell_agent("agent.logout", &agent, stamp, None);
        }
    }

    pub(crate) fn member_paused(&mut self, m: &Message<'_>) {
        let member = self.member_of_message(m);
        let key = (member.queue.clone(), member.interface.clone());
        let stamp = m.text("LastPause").into_owned();
        self.member_pauses(&key, &member, &stamp);
    }

    fn member_pauses(&mut self, key: &(String, String), new: &Member, stamp: &str) {
        let (_, before) = self.standing(new.agent.as_ref());
        self.know_agent(new);
        // A member never heard of is known by this one thing: that it is (or is not) paused now.
        let unknown = || Member { paused: false, ..new.clone() };
        let known = self.members.entry(key.clone()).or_insert_with(unknown);
        let changed = known.paused != new.paused;
        *known = Member { since: if changed { new.since } else { known.since }, ..new.clone() };
        if !changed {
            return;
        }
        let event_type = if new.paused { "queue.member.paused" } else { "queue.member.unpaused" };
        self.tell_member(event_type, new, stamp);
        let (_, after) = self.standing(new.agent.as_ref());
        let Some(agent) = new.agent.clone() else { return };
        match (before, after) {
            (false, true) => self.tell_agent("agent.break.started", &agent, stamp, new.reason.clone()),
            (true, false) => self.tell_agent("agent.break.ended", &agent, stamp, None),
            _ => {}
        }
    }

    pub(crate) fn member_status(&mut self, m: &Message<'_>) {
        let key = (m.text("Queue").into_owned(), m.text("Interface").into_owned());
        let status = m.number("Status").unwrap_or_default();
        let penalty = m.number("Penalty").unwrap_or_default();
        if let Some(member) = self.members.get_mut(&key) {
            member.status = status;
            member.penalty = penalty;
        } else if self.members.len() < super::MOST {
            let member = self.member_of_message(m);
            self.know_agent(&member);
            self.members.insert(key, member);
        }
    }

    /// Whether an agent is a member of any queue by its own doing, and paused in any.
    pub(crate) fn standing(&self, agent: Option<&String>) -> (bool, bool) {
        let own = || self.members.values().filter(|member| agent.is_some() && member.agent.as_ref() == agent);
        (own().any(|member| member.dynamic), own().any(|member| member.paused))
    }

    fn know_agent(&mut self, member: &Member) {
        let Some(agent) = &member.agent else { return };
        let entry = self.agents.entry(agent.clone()).or_default();
        if entry.extension.is_empty() {
            agent.clone_into(&mut entry.extension);
        }
        if !member.name.is_empty() && member.name != member.interface {
            entry.name = Some(member.name.clone());
        }
    }

    fn tell_member(&mut self, event_type: &'static str, member: &Member, stamp: &str) {
        let name = if member.name.is_empty() { member.interface.clone() } else { member.name.clone() };
        let fields = Fields::default()
            .with("queue_name", member.queue.as_str())
            .id("user_id", member.agent.as_ref())
            .with("username", name)
            .with("interface", member.interface.as_str())
            .with("paused", member.paused)
            .with("penalty", member.penalty)
            .maybe("reason", member.reason.clone());
        let times = self.happened(&format!("{}/{}", member.queue, member.interface), stamp);
        self.push(event_type, &format!("{}/{}:{stamp}{times}", member.queue, member.interface), fields.into_map());
        if let Some(agent) = &member.agent {
            self.changed_agents.insert(agent.clone());
        }
    }

    fn happened(&self, _who: &str, stamp: &str) -> String {
        if stamp.is_empty() || stamp == "0" { format!("@{}", self.now / 1000) } else { String::new() }
    }

    pub(crate) fn tell_agent(&mut self, event_type: &'static str, agent: &str, stamp: &str, reason: Option<String>) {
        let entry = self.agents.entry(agent.to_owned()).or_default();
        let name = entry.name.clone().unwrap_or_else(|| entry.extension.clone());
        if let Some(reason) = &reason {
            entry.reason = Some(reason.clone());
        } else if event_type == "agent.break.ended" || event_type == "agent.break.started" {
            entry.reason = None;
        }
        let extension = entry.extension.clone();
        let fields = Fields::default()
            .id("user_id", Some(&agent.to_owned()))
            .with("username", name)
            .with("extension", extension)
            .maybe("reason", reason);
        let times = self.happened(agent, stamp);
        self.push(event_type, &format!("{agent}:{stamp}{times}"), fields.into_map());
        self.changed_agents.insert(agent.to_owned());
    }
}
