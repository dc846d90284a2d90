//! What is true now, as the sections of a state sync.

use serde_json::{Map, Value};

use super::{Model, events::Fields, types::Call};
use crate::identity::id;

impl Model {
    /// The sections `agents`, `calls`, `members` and `waiting`, each an object by its keys; times are epoch
    /// milliseconds of the bridge's clock.
    pub fn snapshot(&self) -> Map<String, Value> {
        let mut sections = Map::new();
        let agents = self.agents.keys().map(|agent| (agent.clone(), self.agent_entry(agent)));
        sections.insert("agents".to_owned(), Value::Object(agents.collect()));
        let known = || self.calls.values().filter(|call| call.known);
        let calls = known().map(|call| (call.uid.clone(), self.call_entry(call)));
        sections.insert("calls".to_owned(), Value::Object(calls.collect()));
        let waiting = known().filter_map(|call| Some((call.uid.clone(), waiting_entry(call)?)));
        sections.insert("waiting".to_owned(), Value::Object(waiting.collect()));
        let members = self.members.values().map(|member| {
            let who = member.agent.clone().unwrap_or_else(|| member.interface.clone());
            let fields = Fields::default()
                .with("queue_name", member.queue.as_str())
                .id("user_id", member.agent.as_ref())
                .with("username", member.name.as_str())
                .with("interface", member.interface.as_str())
                .with("paused", member.paused)
                .maybe("reason", member.reason.clone())
                .with("penalty", member.penalty)
                .with("since", member.since);
            (format!("{}/{who}", member.queue), Value::Object(fields.into_map()))
        });
        sections.insert("members".to_owned(), Value::Object(members.collect()));
        sections
    }

    fn agent_entry(&self, agent: &str) -> Value {
        let entry = &self.agents[agent];
        let fields = Fields::default()
            .id("user_id", Some(&agent.to_owned()))
            .maybe("username", entry.name.clone())
            .with("extension", entry.extension.as_str())
            .with("state", self.state_of(agent))
            .with("since", entry.since);
        Value::Object(fields.into_map())
    }

    fn call_entry(&self, call: &Call) -> Value {
        let ringing = call.channels.iter().filter_map(|uid| self.channels.get(uid));
        let ringing = ringing.filter(|channel| channel.ringing && !channel.answered);
        let ringing: Vec<Value> = ringing.filter_map(|channel| self.person(channel)).map(|agent| id(&agent)).collect();
        let agents: Vec<Value> = call.agents.iter().chain(call.agent.as_ref()).map(|agent| id(agent)).collect();
        let fields = Fields::default()
            .with("unique_id", call.uid.as_str())
            .with("phase", call.phase(!ringing.is_empty()))
            .with("direction", call.direction)
            .with("caller_id", call.caller_id.as_str())
            .maybe("caller_name", call.caller_name.clone())
            .with("destination", call.destination.as_str())
            .maybe("queue_name", call.queue.clone())
            .with("agents", agents)
            .with("ringing", ringing)
            .with("since", call.since)
            .with("started_at", call.born)
            .with("transfers", call.transfers);
        Value::Object(fields.into_map())
    }
}

fn waiting_entry(call: &Call) -> Option<Value> {
    let wait = call.wait.as_ref()?;
    let fields = Fields::default()
        .with("queue_name", wait.queue.as_str())
        .with("unique_id", call.uid.as_str())
        .with("caller_id", call.caller_id.as_str())
        .with("order", wait.position)
        .with("since", wait.since);
    Some(Value::Object(fields.into_map()))
}

impl Call {
    fn phase(&self, rings: bool) -> &'static str {
        if self.parked {
            "parked"
        } else if !self.hold.is_empty() {
            "held"
        } else if !self.talk.is_empty() {
            "talking"
        } else if rings {
            "ringing"
        } else if self.wait.is_some() {
            "queued"
        } else {
            "incoming"
        }
    }
}
