//! What a printed envelope says of its audience, without reading what it carries.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{EventType, Topic, limits};

/// How the envelopes that we print begin.
const OWN_START: &[u8] = b"{\"type\":\"";

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
}

/// The type and the topic of an envelope that was kept; `None` when it cannot be read. Ours are looked at as
/// far as their type only, for those that are kept have no topic; those of foreign programs are read whole.
pub fn audience_of(envelope: &[u8]) -> Option<(EventType, Option<Topic>)> {
    if let Some(event_type) = own_type(envelope) {
        return Some((EventType::parse(event_type).ok()?, None));
    }
    let head: Head<'_> = serde_json::from_slice(envelope).ok()?;
    let topic = head.topic.and_then(|topic| Topic::parse(&topic).ok());
    Some((EventType::parse(&head.event_type).ok()?, topic))
}

fn own_type(envelope: &[u8]) -> Option<&str> {
    let rest = envelope.strip_prefix(OWN_START)?;
    let end = rest.iter().take(limits::EVENT_TYPE_CHARS + 1).position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok().filter(|event_type| !event_type.contains('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_foreign_envelopes_are_read_and_broken_ones_are_not() {
        let of = |text: &str| {
            let (event_type, topic) = audience_of(text.as_bytes())?;
            Some((event_type.as_str().to_owned(), topic.map(|topic| topic.as_str().to_owned())))
        };
        let notification = Some(("notification".to_owned(), None));
        assert_eq!(of(r#"{"type":"notification","payload":{},"tenant_id":"t"}"#), notification);
        assert_eq!(of(r#"{ "payload" : {"type":"alert"}, "type" : "notification" }"#), notification);
        assert_eq!(of(r#"{"type":"notif\u0069cation"}"#), notification);
        let on_wall = Some(("alert".to_owned(), Some("wall".to_owned())));
        assert_eq!(of(r#"{"topic":"wall","type":"alert"}"#), on_wall);
        for broken in ["", "{", "[]", r#"{"payload":{}}"#, r#"{"type":"A B"}"#] {
            assert_eq!(of(broken), None, "{broken}");
        }
    }
}
