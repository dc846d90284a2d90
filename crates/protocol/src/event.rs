//! The event and its envelope: the one JSON object that clients receive.

use serde::Serialize;

use crate::{ErrorCode, EventId, EventType, Payload, Position, SessionKey, TenantId, Timestamp, Topic, UserId};

/// A domain fact on its way to everyone who must hear of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique per tenant; also how receivers notice a duplicate.
    pub id: EventId,
    /// Its dotted name.
    pub event_type: EventType,
    /// Whose it is.
    pub tenant: TenantId,
    /// Set when it is for the connections of one user only.
    pub user: Option<UserId>,
    /// The chat session it belongs to, as visitors know it; decides which visitors may see it.
    pub session: Option<SessionKey>,
    /// Set when it belongs to a custom topic: then only connections that named the topic get it.
    pub topic: Option<Topic>,
    /// Raw JSON, as it came.
    pub payload: Payload,
    /// When it was accepted.
    pub timestamp: Timestamp,
}

/// What a publisher says; the rest of an [`Event`] is added on acceptance.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The publisher's own id, if it wants repeated requests to have one effect.
    pub id: Option<EventId>,
    /// The event's dotted name.
    pub event_type: EventType,
    /// One user, or the whole tenant.
    pub user: Option<UserId>,
    /// The chat session named at top level or in the payload.
    pub session: Option<SessionKey>,
    /// A custom topic.
    pub topic: Option<Topic>,
    /// Raw JSON object.
    pub payload: Payload,
}

impl NewEvent {
    /// An event for the whole tenant.
    pub fn new(event_type: EventType, payload: Payload) -> Self {
        Self { id: None, event_type, user: None, session: None, topic: None, payload }
    }

    /// The same event for one user only.
    #[must_use]
    pub fn to_user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// The same event as part of a chat session.
    #[must_use]
    pub fn in_session(mut self, session: SessionKey) -> Self {
        self.session = Some(session);
        self
    }
}

impl Event {
    /// What a publisher said, accepted at `at` as an event of `tenant`: under its own id, or under a new
    /// one. Its session counts as the one that visitors know.
    pub fn new(tenant: TenantId, said: NewEvent, at: Timestamp) -> Self {
        let NewEvent { id, event_type, user, session, topic, payload } = said;
        let id = id.unwrap_or_else(|| EventId::generate(at));
        Self { id, event_type, tenant, user, session, topic, payload, timestamp: at }
    }

    /// The envelope as compact JSON; only the payload is as the publisher wrote it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.as_str().len() + 200);
        self.encode_into(&mut out);
        out
    }

    /// Appends the envelope to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        // Types, tenants, topics and event ids hold no character that JSON escapes.
        put(out, ["{\"type\":\"", self.event_type.as_str(), "\",\"payload\":", self.payload.as_str()]);
        put(out, [",\"timestamp\":\""]);
        self.timestamp.encode_into(out);
        put(out, ["\",\"tenant_id\":\"", self.tenant.as_str(), "\""]);
        match &self.user {
            None => {}
            Some(UserId::Number(number)) => put(out, [",\"user_id\":", &number.to_string()]),
            Some(UserId::Text(text)) => put(out, [",\"user_id\":\"", text, "\""]),
        }
        if let Some(topic) = &self.topic {
            put(out, [",\"topic\":\"", topic.as_str(), "\""]);
        }
        put(out, [",\"id\":\"", self.id.as_str(), "\"}"]);
    }
}

fn put<const N: usize>(out: &mut Vec<u8>, texts: [&str; N]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

#[derive(Serialize)]
struct Control<'a, P> {
    #[serde(rename = "type")]
    kind: &'a EventType,
    payload: P,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a TenantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// A message from the server itself (`pong`, `error`), in the same envelope.
///
/// # Panics
/// When `payload` does not serialise; control payloads are plain structs.
pub fn control_message(
    kind: &EventType,
    payload: impl Serialize,
    timestamp: Timestamp,
    tenant_id: Option<&TenantId>,
) -> Vec<u8> {
    let control = Control { kind, payload, timestamp, tenant_id, position: None };
    serde_json::to_vec(&control).expect("control payloads serialise")
}

/// The same without a payload, with the place up to which its receiver was given everything.
pub fn positioned_message(
    kind: &EventType,
    position: Option<Position>,
    timestamp: Timestamp,
    tenant: &TenantId,
) -> Vec<u8> {
    let control = Control { kind, payload: Nothing {}, timestamp, tenant_id: Some(tenant), position };
    serde_json::to_vec(&control).expect("plain fields serialise")
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct ErrorPayload<'a> {
    code: &'static str,
    message: &'a str,
}

/// `{"type":"error","payload":{"code":…,"message":…},…}`
pub fn error_message(code: ErrorCode, message: &str, timestamp: Timestamp, tenant: Option<&TenantId>) -> Vec<u8> {
    control_message(&EventType::ERROR, ErrorPayload { code: code.as_str(), message }, timestamp, tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Event {
        Event {
            id: EventId::parse("e-1").expect("legal"),
            event_type: EventType::CALL_INCOMING,
            tenant: TenantId::parse("tenant-123").expect("legal"),
            user: None,
            session: None,
            topic: None,
            payload: Payload::parse(r#"{"b": 2.50,"a":[]}"#).expect("legal"),
            timestamp: Timestamp::from_millis(1_761_393_600_123),
        }
    }

    #[test]
    fn the_envelope_is_the_contracts() {
        let text = String::from_utf8(sample().encode()).expect("UTF-8");
        assert_eq!(
            text,
            r#"{"type":"call.incoming","payload":{"b": 2.50,"a":[]},"timestamp":"2025-10-25T12:00:00.123Z","tenant_id":"tenant-123","id":"e-1"}"#
        );
    }

    #[test]
    fn a_user_is_a_number_or_a_string() {
        let tail = |user: UserId| {
            let text = String::from_utf8(Event { user: Some(user), ..sample() }.encode()).expect("UTF-8");
            text.split_once("\"tenant-123\"").map(|(_, tail)| tail.to_owned())
        };
        assert_eq!(tail(UserId::from(456)).as_deref(), Some(r#","user_id":456,"id":"e-1"}"#));
        let text = UserId::parse("user-1").expect("legal");
        assert_eq!(tail(text).as_deref(), Some(r#","user_id":"user-1","id":"e-1"}"#));
    }

    #[test]
    fn an_error_tells_code_and_message() {
        let bytes = error_message(ErrorCode::UnknownCommand, "say \"ping\"", Timestamp::from_millis(0), None);
        assert_eq!(
            String::from_utf8(bytes).expect("UTF-8"),
            r#"{"type":"error","payload":{"code":"unknown_command","message":"say \"ping\""},"timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
    }
}
