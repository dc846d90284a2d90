//! The contract's own fields, one check each.

use hookswitch_egress::{AddressGuard, TargetError};
use hookswitch_protocol::{ErrorCode, EventType, Secret, SubscriptionName};

use super::invalid::InvalidWebhook;
use crate::sign;

/// Longest name and secret, in characters, as wide as their columns.
const NAME_CHARS: usize = 255;
/// Most entries in `events`.
const EVENTS: usize = 256;

pub(super) async fn check_url(url: &str, guard: &AddressGuard) -> Result<(), InvalidWebhook> {
    // The parser drops these without a word, and the column would keep another text than is called.
    if url.trim() != url || url.chars().any(char::is_control) {
        return Err(InvalidWebhook::new("url", "must not begin or end with a blank or hold control characters"));
    }
    guard.check(url).await.map_err(|error| InvalidWebhook {
        code: match error {
            TargetError::Blocked(_) => ErrorCode::AddressBlocked,
            TargetError::Malformed(_) => ErrorCode::InvalidField,
        },
        ..InvalidWebhook::new("url", error.to_string())
    })
}

fn check_chars(field: &'static str, text: &str) -> Result<(), InvalidWebhook> {
    match text.chars().count() {
        0 => Err(InvalidWebhook::new(field, "must not be empty")),
        1..=NAME_CHARS => Ok(()),
        n => Err(InvalidWebhook::new(field, format!("has {n} characters, at most {NAME_CHARS} are allowed"))),
    }
}

pub(super) fn check_name(name: String) -> Result<String, InvalidWebhook> {
    check_chars("name", &name)?;
    if name.trim().is_empty() {
        return Err(InvalidWebhook::new("name", "must not be blank"));
    }
    Ok(name)
}

pub(super) fn check_secret(secret: Secret) -> Result<Secret, InvalidWebhook> {
    check_chars("secret", secret.reveal())?;
    sign::standard_key(&secret)
        .map_err(|_| InvalidWebhook::new("secret", "starts with whsec_ but the rest is empty or not base64"))?;
    Ok(secret)
}

pub(super) fn check_events(events: Vec<String>) -> Result<Vec<String>, InvalidWebhook> {
    if events.is_empty() {
        return Err(InvalidWebhook::new("events", "must name at least one event type"));
    }
    if events.len() > EVENTS {
        let problem = format!("has {} entries, at most {EVENTS} are allowed", events.len());
        return Err(InvalidWebhook::new("events", problem));
    }
    for (i, name) in events.iter().enumerate() {
        event_name(name).map_err(|problem| InvalidWebhook::new("events", format!("entry {i} {problem}")))?;
    }
    Ok(events)
}

/// What clients and server say to each other; nobody can publish it, so no webhook would ever get it.
const CONTROL_WORDS: [EventType; 5] =
    [EventType::PING, EventType::PONG, EventType::ERROR, EventType::SUBSCRIBE, EventType::UNSUBSCRIBE];

/// Reads one entry of `events`: an event type, `call.*` or `*`. Unlike a WebSocket subscription it
/// cannot be a topic, whose names allow more characters, nor a control word.
pub(crate) fn event_name(text: &str) -> Result<SubscriptionName, String> {
    let name = SubscriptionName::parse(text).map_err(|e| e.problem)?;
    let letters = match &name {
        SubscriptionName::Exact(name) => name,
        SubscriptionName::Prefix(prefix) if prefix.is_empty() => return Ok(name),
        SubscriptionName::Prefix(prefix) => prefix,
    };
    let event_type = EventType::parse(letters).map_err(|e| e.problem)?;
    if matches!(name, SubscriptionName::Exact(_)) && CONTROL_WORDS.contains(&event_type) {
        return Err(format!("is {event_type}, a control message that no webhook ever gets"));
    }
    Ok(name)
}

pub(super) fn check_number(field: &'static str, n: i64, min: u32, max: u32, unit: &str) -> Result<u32, InvalidWebhook> {
    let in_range = u32::try_from(n).ok().filter(|n| (min..=max).contains(n));
    in_range.ok_or_else(|| InvalidWebhook::new(field, format!("is {n}, must be {min} to {max}{unit}")))
}
