//! The bytes of a delivery, and the digest that tells a repeated event from a conflicting one.

use std::io::Write as _;

use bytes::Bytes;
use hookswitch_protocol::{EventType, NewEvent, Payload, Timestamp, json};
use sha2::{Digest as _, Sha256};

use crate::seams::ledger::Fingerprint;

/// The body every attempt of a delivery sends: `{"event":…,"timestamp":<unix seconds>,"data":<payload>}`,
/// compact, so that receivers which print the parsed JSON again get the bytes that were signed.
pub fn delivery_body(event_type: &EventType, timestamp: Timestamp, payload: &Payload) -> Bytes {
    let data = json::minify(payload.as_str());
    let mut body = Vec::with_capacity(data.len() + event_type.as_str().len() + 48);
    // Event types hold no character that JSON escapes.
    write!(body, "{{\"event\":\"{event_type}\",\"timestamp\":{},\"data\":{data}}}", timestamp.as_secs())
        .expect("writing to a vector cannot fail");
    Bytes::from(body)
}

/// The digest of what a publisher said: type, user, session, topic and payload, the payload without
/// its white space. Equal content, equal digest; the event's id and time are no part of it.
pub fn fingerprint(event: &NewEvent) -> Fingerprint {
    let mut digest = Sha256::new();
    let user = event.user.as_ref().map(ToString::to_string);
    let fields = [
        Some(event.event_type.as_str()),
        user.as_deref(),
        event.session.as_ref().map(hookswitch_protocol::SessionKey::as_str),
        event.topic.as_ref().map(hookswitch_protocol::Topic::as_str),
        Some(&json::minify(event.payload.as_str())),
    ];
    for field in fields {
        // The length before each field keeps "ab" + "c" apart from "a" + "bc"; an absent field is
        // apart from an empty one.
        digest.update(field.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        digest.update(field.unwrap_or_default());
    }
    Fingerprint(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{Topic, UserId};

    use super::*;

    fn payload(text: &str) -> Payload {
        Payload::parse(text).expect(text)
    }

    #[test]
    fn the_body_is_compact_and_exact() {
        let body = delivery_body(
            &EventType::CALL_INCOMING,
            Timestamp::from_millis(1_729_866_000_999),
            &payload("{ \"b\" : 2.50,\n\"a\":[ 1 , 2 ], \"s\":\"x \\u00e9\" }"),
        );
        let wanted = r#"{"event":"call.incoming","timestamp":1729866000,"data":{"b":2.50,"a":[1,2],"s":"x é"}}"#;
        assert_eq!(body, wanted);
    }

    #[test]
    fn the_fingerprint_sees_content_and_nothing_else() {
        let event = NewEvent::new(EventType::ALERT, payload(r#"{"a":1}"#));
        let same = NewEvent { id: None, ..NewEvent::new(EventType::ALERT, payload("{ \"a\": 1 }")) };
        assert_eq!(fingerprint(&event), fingerprint(&same));
        let others = [
            NewEvent::new(EventType::NOTIFICATION, payload(r#"{"a":1}"#)),
            NewEvent::new(EventType::ALERT, payload(r#"{"a":2}"#)),
            event.clone().to_user(UserId::Number(1)),
            NewEvent { topic: Some(Topic::parse("1").expect("legal")), ..event.clone() },
        ];
        let mut digests: Vec<_> = others.iter().chain([&event]).map(|e| fingerprint(e).0).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 5);
    }
}
