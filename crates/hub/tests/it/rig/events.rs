//! Events and names, said briefly.

use hookswitch_hub::UserKey;
use hookswitch_protocol::{
    Event, EventId, EventType, Payload, SessionKey, SubscriptionName, TenantId, Timestamp, Topic, UserId,
};

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("legal tenant")
}

pub(crate) fn key(session: &str) -> SessionKey {
    SessionKey::parse(session).expect("legal session")
}

pub(crate) fn name(name: &str) -> SubscriptionName {
    SubscriptionName::parse(name).expect("legal name")
}

pub(crate) fn user(of: &str, number: i64) -> UserKey {
    UserKey { tenant: tenant(of), user: UserId::from(number) }
}

/// An event for the whole tenant.
pub(crate) fn event(of: &str, kind: &str, id: &str) -> Event {
    Event {
        id: EventId::parse(id).expect("legal id"),
        event_type: EventType::parse(kind).expect("legal type"),
        tenant: tenant(of),
        user: None,
        session: None,
        topic: None,
        payload: Payload::empty(),
        timestamp: Timestamp::from_millis(0),
    }
}

pub(crate) fn to_user(event: Event, number: i64) -> Event {
    Event { user: Some(UserId::from(number)), ..event }
}

pub(crate) fn in_session(event: Event, session: &str) -> Event {
    Event { session: Some(key(session)), ..event }
}

pub(crate) fn topic(event: Event, topic: &str) -> Event {
    Event { topic: Some(Topic::parse(topic).expect("legal topic")), ..event }
}
