//! Entries as they are written.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookswitch_protocol::{Timestamp, UserId};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::entries::{Agent, Call, Chat, Member, Phase, Queue, Waiting};
use crate::fields::Key;
use crate::model::Model;
use crate::section::Section;
use crate::sources::Sources;
use crate::view::EntryKey;

/// What stands in an entry beside its own fields.
#[derive(Debug, Serialize)]
struct OfSource<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_lost: Option<bool>,
}

impl<'a> OfSource<'a> {
    fn new(source: Option<&'a Key>, sources: &Sources) -> Self {
        Self { source, source_lost: source.is_some_and(|source| sources.is_lost(source)).then_some(true) }
    }
}

#[derive(Serialize)]
struct ShownAgent<'a> {
    user_id: &'a UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extension: Option<&'a str>,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    since: Timestamp,
    calls: &'a BTreeSet<Key>,
    presence: &'static str,
}

#[derive(Serialize)]
struct ShownCall<'a> {
    unique_id: &'a str,
    phase: Phase,
    direction: &'a str,
    caller_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_name: Option<&'a str>,
    destination: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_name: Option<&'a str>,
    agents: &'a [UserId],
    ringing: &'a [UserId],
    since: Timestamp,
    started_at: Timestamp,
    transfers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(flatten)]
    of: OfSource<'a>,
}

#[derive(Serialize)]
struct ShownQueue<'a> {
    queue_name: &'a str,
    calls_waiting: usize,
    available_agents: u64,
    logged_in_agents: u64,
    talking_agents: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_wait_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct ShownMember<'a> {
    queue_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    penalty: Option<i64>,
    since: Timestamp,
    #[serde(flatten)]
    of: OfSource<'a>,
}

#[derive(Serialize)]
struct ShownWaiting<'a> {
    queue_name: &'a str,
    unique_id: &'a str,
    caller_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_name: Option<&'a str>,
    order: i64,
    since: Timestamp,
    #[serde(flatten)]
    of: OfSource<'a>,
}

#[derive(Serialize)]
struct ShownChat<'a> {
    session_id: &'a Value,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    visitor_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_name: Option<&'a str>,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message_at: Option<Timestamp>,
}

/// An entry as compact JSON, with the queues it belongs to; `None` where there is none.
pub(crate) fn encode(model: &Model, sources: &Sources, (section, key): &EntryKey) -> Option<(String, Arc<[Key]>)> {
    let none = || Arc::from([]);
    Some(match section {
        Section::Agents => (agent(model, key, model.agents.get(key)?), model.queues_of(key).cloned().collect()),
        Section::Calls => {
            let call = model.calls.get(key)?;
            (self::call(key, call, sources), call.queue_name.iter().cloned().collect())
        }
        Section::Queues => (queue(model, key, model.queues.get(key)?), Arc::from([key.clone()])),
        Section::Members => {
            let member = model.members.get(key)?;
            (self::member(member, sources), Arc::from([member.queue_name.clone()]))
        }
        Section::Waiting => {
            let waiting = model.waiting.get(key)?;
            (self::waiting(key, waiting, sources), Arc::from([waiting.queue_name.clone()]))
        }
        Section::Chats => (chat(model.chats.get(key)?), none()),
    })
}

/// Plain structs of texts and numbers always serialise.
fn json(entry: &impl Serialize) -> String {
    serde_json::to_string(entry).expect("an entry is texts and numbers")
}

fn agent(model: &Model, key: &Key, agent: &Agent) -> String {
    json(&ShownAgent {
        user_id: &agent.user_id,
        username: agent.username.as_deref(),
        extension: agent.extension.as_deref(),
        state: &agent.state,
        reason: agent.reason.as_deref(),
        since: agent.since,
        calls: &agent.calls,
        presence: if model.online.contains(key) { "online" } else { "offline" },
    })
}

fn call(key: &Key, call: &Call, sources: &Sources) -> String {
    json(&ShownCall {
        unique_id: key,
        phase: call.phase,
        direction: &call.direction,
        caller_id: &call.caller_id,
        caller_name: call.caller_name.as_deref(),
        destination: &call.destination,
        queue_name: call.queue_name.as_deref(),
        agents: &call.agents,
        ringing: &call.ringing,
        since: call.since,
        started_at: call.started_at,
        transfers: call.transfers,
        reason: call.reason.as_deref(),
        of: OfSource::new(call.source.as_ref(), sources),
    })
}

fn queue(model: &Model, key: &Key, queue: &Queue) -> String {
    let since = queue.waiting.iter().filter_map(|key| Some(model.waiting.get(key)?.since));
    json(&ShownQueue {
        queue_name: key,
        calls_waiting: queue.waiting.len(),
        available_agents: queue.n_available,
        logged_in_agents: queue.n_logged_in,
        talking_agents: queue.n_talking,
        longest_wait_since: since.min(),
        stats: queue.stats.as_deref().and_then(|stats| serde_json::from_str(stats).ok()),
    })
}

fn member(member: &Member, sources: &Sources) -> String {
    json(&ShownMember {
        queue_name: &member.queue_name,
        user_id: member.user_id.as_ref(),
        username: member.username.as_deref(),
        interface: member.interface.as_deref(),
        paused: member.paused,
        reason: member.reason.as_deref(),
        penalty: member.penalty,
        since: member.since,
        of: OfSource::new(member.source.as_ref(), sources),
    })
}

fn waiting(key: &Key, waiting: &Waiting, sources: &Sources) -> String {
    json(&ShownWaiting {
        queue_name: &waiting.queue_name,
        unique_id: key,
        caller_id: &waiting.caller_id,
        caller_name: waiting.caller_name.as_deref(),
        order: waiting.order,
        since: waiting.since,
        of: OfSource::new(waiting.source.as_ref(), sources),
    })
}

fn chat(chat: &Chat) -> String {
    json(&ShownChat {
        session_id: &chat.session_id,
        status: &chat.status,
        visitor_name: chat.visitor_name.as_deref(),
        agent_id: chat.agent_id.as_ref(),
        agent_name: chat.agent_name.as_deref(),
        since: chat.since,
        last_message_at: chat.last_message_at,
    })
}
