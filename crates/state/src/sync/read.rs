//! Reading a sync: every entry is checked before anything is done.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hookswitch_protocol::payloads::INBOUND;
use hookswitch_protocol::{Position, Timestamp, UserId};
use serde_json::{Map, Value};

use crate::counts::Ignored;
use crate::entries::Phase;
use crate::fields::{Key, checked_key, cut};
use crate::model::user_key;
use crate::sources::is_source_name;
use crate::sync::reported::{ReportedAgent, ReportedCall, ReportedMember, ReportedWaiting, Sync};

/// A sync is at most so large.
pub const MAX_SYNC_BYTES: usize = 8 * 1024 * 1024;

/// A lease is at least and at most so long.
const LEASES: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_hours(1);

/// A call names at most so many agents.
const AGENTS: usize = 64;

/// A sync that cannot be one, with the field that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidSync {
    /// Where, such as `sections.calls.1.2.phase`.
    pub field: String,
    /// What is wrong there.
    pub problem: String,
}

type Read<T> = Result<T, InvalidSync>;

fn invalid(field: impl Into<String>, problem: impl fmt::Display) -> InvalidSync {
    InvalidSync { field: field.into(), problem: problem.to_string() }
}

impl Sync {
    /// Reads and checks a request's body.
    ///
    /// # Errors
    /// [`InvalidSync`] for the first thing that is wrong; then nothing of it is to be done.
    pub fn parse(body: &str) -> Read<Self> {
        let body: Map<String, Value> = serde_json::from_str(body).map_err(|error| invalid("body", error))?;
        let source = match body.get("source").and_then(Value::as_str) {
            Some(name) if is_source_name(name) => Key::from(name),
            _ => return Err(invalid("source", "must be 1 to 64 of A-Z a-z 0-9 _ . -")),
        };
        let empty = Map::new();
        let sections = match body.get("sections") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(sections)) => sections,
            Some(_) => return Err(invalid("sections", "must be an object")),
        };
        if let Some(other) =
            sections.keys().find(|name| !matches!(name.as_str(), "agents" | "calls" | "members" | "waiting"))
        {
            return Err(invalid(format!("sections.{}", cut(other)), "is no section of a sync"));
        }
        Ok(Self {
            source,
            is_renewal: body.len() == 1,
            complete: flag(&body, "complete")?.unwrap_or(false),
            as_of: as_of(&body)?,
            lease: lease(&body)?,
            agents: section(sections, "agents", agent)?,
            calls: section(sections, "calls", call)?,
            members: section(sections, "members", member)?,
            waiting: section(sections, "waiting", waiting)?,
        })
    }
}

fn as_of(body: &Map<String, Value>) -> Read<Option<(u64, u64)>> {
    match body.get("as_of") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let position: Position = text.parse().map_err(|error| invalid("as_of", error))?;
            Ok(Some((position.epoch, position.offset)))
        }
        Some(_) => Err(invalid("as_of", "must be a position")),
    }
}

fn lease(body: &Map<String, Value>) -> Read<Option<Duration>> {
    let lease = match body.get("lease") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(seconds)) => seconds.as_u64().map(Duration::from_secs),
        Some(Value::String(text)) => span(text),
        Some(_) => None,
    };
    lease.filter(|lease| LEASES.contains(lease)).map(Some).ok_or_else(|| invalid("lease", "must be 5s to 1h"))
}

/// `30s`, `5m`, `1h`, or seconds alone.
fn span(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(unit)?))
}

/// One entry under way: its fields and where it stands.
struct Entry<'a> {
    fields: &'a Map<String, Value>,
    /// The key that it stands under, where it does.
    name: Option<&'a str>,
    path: String,
}

/// A section, as reading gives it (by key) or as a list.
fn section<T>(
    sections: &Map<String, Value>,
    name: &str,
    read: impl Fn(&Entry<'_>) -> Read<(Key, T)>,
) -> Read<Option<BTreeMap<Key, T>>> {
    let named: Vec<(String, Option<&str>, &Value)> = match sections.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(entries)) => {
            entries.iter().map(|(key, entry)| (cut(key).to_owned(), Some(key.as_str()), entry)).collect()
        }
        Some(Value::Array(entries)) => {
            entries.iter().enumerate().map(|(at, entry)| (at.to_string(), None, entry)).collect()
        }
        Some(_) => return Err(invalid(format!("sections.{name}"), "must be an object or a list")),
    };
    let mut all = BTreeMap::new();
    for (at, key, value) in named {
        let path = format!("sections.{name}.{at}");
        let Some(fields) = value.as_object() else { return Err(invalid(path, "must be an object")) };
        let entry = Entry { fields, name: key, path };
        let (own, reported) = read(&entry)?;
        if key.is_some_and(|key| *key != *own) {
            return Err(invalid(entry.path, "stands under another key than it names"));
        }
        if all.insert(own, reported).is_some() {
            return Err(invalid(entry.path, "comes twice"));
        }
    }
    Ok(Some(all))
}

impl Entry<'_> {
    fn invalid(&self, field: &str, problem: impl fmt::Display) -> InvalidSync {
        invalid(format!("{}.{field}", self.path), problem)
    }

    fn text(&self, field: &str) -> Read<Option<String>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(cut(text).to_owned()).filter(|text| !text.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.invalid(field, "must be a text")),
        }
    }

    fn key_if_told(&self, field: &str) -> Read<Option<Key>> {
        let text = match self.fields.get(field) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(self.invalid(field, "must be a text")),
        };
        match checked_key(&text) {
            Ok(key) => Ok(Some(key)),
            Err(Ignored::NoKey) => Ok(None),
            Err(_) => Err(self.invalid(field, "has more than 128 bytes")),
        }
    }

    fn key(&self, field: &str) -> Read<Key> {
        self.key_if_told(field)?.ok_or_else(|| self.invalid(field, "is missing"))
    }

    /// The key that the entry stands under, where it does not say it itself.
    fn key_or_name(&self, field: &str) -> Read<Key> {
        match (self.key_if_told(field)?, self.name) {
            (Some(key), _) => Ok(key),
            (None, Some(name)) => checked_key(name).map_err(|_| self.invalid(field, "has more than 128 bytes")),
            (None, None) => Err(self.invalid(field, "is missing")),
        }
    }

    fn user(&self, field: &str) -> Read<Option<UserId>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => user(value).map(Some).ok_or_else(|| self.invalid(field, "is no user id")),
        }
    }

    fn users(&self, field: &str) -> Read<Vec<UserId>> {
        let list = match self.fields.get(field) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= AGENTS => list,
            Some(_) => return Err(self.invalid(field, "must be a list of at most 64 user ids")),
        };
        let mut users = Vec::with_capacity(list.len());
        for value in list {
            let user = user(value).ok_or_else(|| self.invalid(field, "holds what is no user id"))?;
            if !users.contains(&user) {
                users.push(user);
            }
        }
        Ok(users)
    }

    fn time(&self, field: &str) -> Read<Option<Timestamp>> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        Timestamp::parse(&text).map(Some).map_err(|error| self.invalid(field, error))
    }

    fn number(&self, field: &str) -> Read<Option<i64>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.invalid(field, "must be a whole number")),
        }
    }
}

fn user(value: &Value) -> Option<UserId> {
    let user = match value {
        Value::Number(number) => number.as_i64().map(UserId::Number),
        Value::String(text) => UserId::parse(text).ok(),
        _ => None,
    };
    user.filter(|user| !user.is_zero())
}

fn flag(fields: &Map<String, Value>, field: &str) -> Read<Option<bool>> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(invalid(field, "must be true or false")),
    }
}

fn agent(entry: &Entry<'_>) -> Read<(Key, ReportedAgent)> {
    let named = entry.name.and_then(|name| UserId::parse(name).ok()).filter(|user| !user.is_zero());
    let user_id = entry.user("user_id")?.or(named).ok_or_else(|| entry.invalid("user_id", "is missing"))?;
    let reported = ReportedAgent {
        username: entry.text("username")?,
        extension: entry.text("extension")?,
        state: entry.text("state")?.ok_or_else(|| entry.invalid("state", "is missing"))?,
        reason: entry.text("reason")?,
        since: entry.time("since")?,
        user_id,
    };
    Ok((user_key(&reported.user_id), reported))
}

fn call(entry: &Entry<'_>) -> Read<(Key, ReportedCall)> {
    let phase = match entry.text("phase")? {
        None => Phase::Incoming,
        Some(phase) => serde_json::from_value(Value::from(phase)).map_err(|_| entry.invalid("phase", "is none"))?,
    };
    let reported = ReportedCall {
        phase,
        direction: entry.text("direction")?.unwrap_or_else(|| INBOUND.to_owned()),
        caller_id: entry.text("caller_id")?.unwrap_or_default(),
        caller_name: entry.text("caller_name")?,
        destination: entry.text("destination")?.unwrap_or_default(),
        queue_name: entry.key_if_told("queue_name")?,
        agents: entry.users("agents")?,
        ringing: entry.users("ringing")?,
        since: entry.time("since")?,
        started_at: entry.time("started_at")?,
        transfers: entry.number("transfers")?.unwrap_or(0).max(0).unsigned_abs(),
    };
    Ok((entry.key_or_name("unique_id")?, reported))
}

fn member(entry: &Entry<'_>) -> Read<(Key, ReportedMember)> {
    let reported = ReportedMember {
        queue_name: entry.key("queue_name")?,
        user_id: entry.user("user_id")?,
        username: entry.text("username")?,
        interface: entry.text("interface")?,
        paused: flag(entry.fields, "paused").map_err(|error| entry.invalid("paused", error.problem))?.unwrap_or(false),
        reason: entry.text("reason")?,
        penalty: entry.number("penalty")?,
        since: entry.time("since")?,
    };
    let name = match &reported.user_id {
        Some(user) => user_key(user),
        None => entry.key("interface")?,
    };
    let key = checked_key(&format!("{}/{name}", reported.queue_name));
    Ok((key.map_err(|_| entry.invalid("queue_name", "makes a key of more than 128 bytes"))?, reported))
}

fn waiting(entry: &Entry<'_>) -> Read<(Key, ReportedWaiting)> {
    let reported = ReportedWaiting {
        queue_name: entry.key("queue_name")?,
        caller_id: entry.text("caller_id")?.unwrap_or_default(),
        caller_name: entry.text("caller_name")?,
        order: entry.number("order")?.unwrap_or(i64::MAX >> 11),
        since: entry.time("since")?,
    };
    Ok((entry.key_or_name("unique_id")?, reported))
}
