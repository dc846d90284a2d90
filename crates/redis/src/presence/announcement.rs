//! The envelope of `presence.changed`, made ready for a script to publish.

use hookswitch_protocol::payloads::{PresenceCause, PresenceChanged, PresenceWord};
use hookswitch_protocol::{Event, TenantId, Timestamp, UserId};

/// What a script publishes when it makes this transition.
pub(super) fn announcement(tenant: &TenantId, user: &UserId, cause: PresenceCause, now: Timestamp) -> Vec<u8> {
    let state = match cause {
        PresenceCause::Connected => PresenceWord::Online,
        PresenceCause::Disconnected | PresenceCause::NodeLost | PresenceCause::Drained | PresenceCause::Expired => {
            PresenceWord::Offline
        }
    };
    let payload = PresenceChanged { user_id: user.clone(), state, cause };
    Event::new(tenant.clone(), payload.into(), now).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_envelope_that_subscribers_know() {
        let tenant = TenantId::parse("tenant-1").expect("legal");
        let check = |user: &str, cause, payload: &str| {
            let user = UserId::parse(user).expect("legal");
            let text = announcement(&tenant, &user, cause, Timestamp::from_millis(1_761_393_600_123));
            let text = String::from_utf8(text).expect("UTF-8");
            let begin = format!(
                r#"{{"type":"presence.changed","payload":{payload},"timestamp":"2025-10-25T12:00:00.123Z","tenant_id":"tenant-1","id":""#
            );
            assert!(text.starts_with(&begin), "{text}");
        };
        check("456", PresenceCause::Connected, r#"{"user_id":456,"state":"online","cause":"connected"}"#);
        check("a-7", PresenceCause::NodeLost, r#"{"user_id":"a-7","state":"offline","cause":"node_lost"}"#);
    }
}
