//! What foreign programs push into a user's list.

use bytes::Bytes;
use hookswitch_hub::UserKey;
use hookswitch_protocol::{Event, EventId, EventType, Payload, TenantId, Timestamp, Topic, UserId, json, limits};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A foreign envelope that can go out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Readable {
    /// When it was accepted by whoever pushed it; now, if that is not said.
    pub(super) at: Timestamp,
    /// What to send instead of it, where it lacked something.
    pub(super) filled: Option<Bytes>,
}

/// Why a foreign envelope cannot go out.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnfitEnvelope {
    #[error("it has {n_bytes} bytes, at most {} are allowed", limits::PUBLISH_BODY_BYTES)]
    TooLarge { n_bytes: usize },
    #[error("it is not UTF-8")]
    NotText,
    #[error("it is nested too deep")]
    TooDeep,
    #[error("it is no envelope: {0}")]
    NoEnvelope(#[from] serde_json::Error),
    #[error("its payload is none: {0}")]
    Payload(#[from] hookswitch_protocol::InvalidPayload),
    #[error("its type {0} cannot be published")]
    Reserved(EventType),
    #[error("it names another tenant")]
    OtherTenant,
    #[error("it names another user")]
    OtherUser,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    event_type: EventType,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    timestamp: Option<Timestamp>,
    tenant_id: Option<TenantId>,
    user_id: Option<UserId>,
    topic: Option<Topic>,
    id: Option<EventId>,
}

/// Checks an envelope that was found in the list of `user`, and fills what it lacks. The payload
/// stays as it came; an envelope that lacks nothing stays as a whole.
pub(super) fn read(envelope: &[u8], user: &UserKey, now: Timestamp) -> Result<Readable, UnfitEnvelope> {
    let n_bytes = envelope.len();
    if n_bytes > limits::PUBLISH_BODY_BYTES {
        return Err(UnfitEnvelope::TooLarge { n_bytes });
    }
    let text = std::str::from_utf8(envelope).map_err(|_| UnfitEnvelope::NotText)?;
    let wire: Wire<'_> = serde_json::from_str(text)?;
    // The payload may have the full depth, inside the envelope.
    if !json::depth_within(text, limits::JSON_DEPTH + 1) {
        return Err(UnfitEnvelope::TooDeep);
    }
    wire.check(user)?;
    let at = wire.timestamp.unwrap_or(now);
    let filled = if wire.is_complete() { None } else { Some(wire.fill(user, at)?) };
    Ok(Readable { at, filled })
}

impl Wire<'_> {
    fn check(&self, user: &UserKey) -> Result<(), UnfitEnvelope> {
        if !self.event_type.is_publishable() {
            return Err(UnfitEnvelope::Reserved(self.event_type.clone()));
        }
        if self.tenant_id.as_ref().is_some_and(|tenant| *tenant != user.tenant) {
            return Err(UnfitEnvelope::OtherTenant);
        }
        if self.user().is_some_and(|named| *named != user.user) {
            return Err(UnfitEnvelope::OtherUser);
        }
        self.payload.map_or(Ok(()), |raw| Payload::from_raw(raw).map(drop).map_err(UnfitEnvelope::from))
    }

    /// Go programs write 0 for nobody.
    fn user(&self) -> Option<&UserId> {
        self.user_id.as_ref().filter(|user| !user.is_zero())
    }

    fn is_complete(&self) -> bool {
        self.payload.is_some()
            && self.timestamp.is_some()
            && self.tenant_id.is_some()
            && self.user().is_some()
            && self.id.is_some()
    }

    fn fill(self, user: &UserKey, at: Timestamp) -> Result<Bytes, UnfitEnvelope> {
        let payload = self.payload.map_or_else(|| Ok(Payload::empty()), Payload::from_raw)?;
        let event = Event {
            id: self.id.unwrap_or_else(|| EventId::generate(at)),
            event_type: self.event_type,
            tenant: user.tenant.clone(),
            user: Some(user.user.clone()),
            session: None,
            topic: self.topic,
            payload,
            timestamp: at,
        };
        Ok(Bytes::from(event.encode()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_761_393_600_123);

    fn agent() -> UserKey {
        UserKey { tenant: TenantId::parse("tenant-1").expect("legal"), user: UserId::from(456) }
    }

    fn filled(envelope: &str) -> String {
        let read = read(envelope.as_bytes(), &agent(), NOW).expect(envelope);
        String::from_utf8(read.filled.expect("something lacks").to_vec()).expect("UTF-8")
    }

    #[test]
    fn what_lacks_is_filled_and_the_payload_stays_as_it_came() {
        let filled = filled(r#"{ "type":"call.incoming", "payload":{"b": 2.50,"a":[ ]} }"#);
        let head = r#"{"type":"call.incoming","payload":{"b": 2.50,"a":[ ]},"timestamp":"2025-10-25T12:00:00.123Z","tenant_id":"tenant-1","user_id":456,"id":""#;
        let id = filled.strip_prefix(head).and_then(|rest| rest.strip_suffix("\"}")).expect(&filled);
        assert!(EventId::parse(id).is_ok());
    }

    #[test]
    fn what_is_there_is_kept() {
        let given = r#"{"type":"x","timestamp":"2025-10-25T11:00:00Z","user_id":0,"id":"e-1","topic":"wall"}"#;
        assert_eq!(
            filled(given),
            r#"{"type":"x","payload":{},"timestamp":"2025-10-25T11:00:00.000Z","tenant_id":"tenant-1","user_id":456,"topic":"wall","id":"e-1"}"#
        );
        let read = read(given.as_bytes(), &agent(), NOW).expect("legal");
        assert_eq!(read.at, Timestamp::parse("2025-10-25T11:00:00Z").expect("legal"));
    }

    #[test]
    fn an_envelope_that_lacks_nothing_stays_as_it_is() {
        let whole = r#"{"id":"e-1","user_id":"456","tenant_id":"tenant-1","timestamp":"2025-10-25T12:00:00Z","payload":{},"type":"alert","more":[1]}"#;
        assert_eq!(read(whole.as_bytes(), &agent(), NOW).expect("legal").filled, None);
    }

    #[test]
    fn the_rest_is_refused_with_its_reason() {
        let check = |envelope: &str, reason: &str| {
            let refused = read(envelope.as_bytes(), &agent(), NOW).expect_err(envelope).to_string();
            assert!(refused.contains(reason), "{envelope}: {refused}");
        };
        check("{\"type\":\"alert\"", "no envelope");
        check("[1]", "no envelope");
        check("{}", "`type`");
        check(r#"{"type":"Bad Type"}"#, "type");
        check(r#"{"type":"pong"}"#, "cannot be published");
        check(r#"{"type":"alert","payload":[1]}"#, "payload");
        check(r#"{"type":"alert","tenant_id":"tenant-2"}"#, "another tenant");
        check(r#"{"type":"alert","user_id":7}"#, "another user");
        check(&format!(r#"{{"type":"alert","more":{}{}}}"#, "[".repeat(90), "]".repeat(90)), "too deep");
        check(&format!(r#"{{"type":"alert","payload":{{"x":"{}"}}}}"#, "x".repeat(2_000_000)), "bytes");
        assert!(matches!(read(b"\xff", &agent(), NOW), Err(UnfitEnvelope::NotText)));
    }
}
