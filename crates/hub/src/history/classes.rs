//! What a client that reads too slowly is given first.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use hookswitch_protocol::payloads::queue_name;
use hookswitch_protocol::{Event, SubscriptionName};

/// Which event types are urgent, and of which only the newest matters, for a connection that is behind because its
/// client does not read in time; everything else comes in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventClasses {
    /// Given at once, before earlier events of other types (`call.*`, `notification`, `alert`).
    pub urgent: Vec<SubscriptionName>,
    /// Of those with the same type, queue (`queue_name`) and user only the newest is given (`queue.stats`, `queue.stats.*`).
    pub latest: Vec<SubscriptionName>,
}

impl Default for EventClasses {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().filter_map(|name| SubscriptionName::parse(name).ok()).collect();
        Self { urgent: names(&["call.*", "notification", "alert"]), latest: names(&["queue.stats", "queue.stats.*"]) }
    }
}

/// The class of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    InOrder,
    Urgent,
    /// Of the events with this number the newest replaces the others.
    Latest(u64),
}

impl EventClasses {
    pub(crate) fn of(&self, event: &Event) -> Class {
        let is_among = |names: &[SubscriptionName]| names.iter().any(|name| name.matches_type(&event.event_type));
        if event.topic.is_some() {
            Class::InOrder
        } else if is_among(&self.urgent) {
            Class::Urgent
        } else if is_among(&self.latest) {
            // One that does not say which queue it is about replaces none.
            what_it_tells_of(event).map_or(Class::InOrder, Class::Latest)
        } else {
            Class::InOrder
        }
    }
}

fn what_it_tells_of(event: &Event) -> Option<u64> {
    let queue = queue_name(&event.payload)?;
    let key = (event.event_type.as_str(), &event.user, &event.session, &*queue);
    Some(BuildHasherDefault::<DefaultHasher>::new().hash_one(key))
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{EventId, EventType, Payload, TenantId, Timestamp, UserId};

    use super::*;

    fn event(kind: &str, payload: &str) -> Event {
        Event {
            id: EventId::parse("e").expect("legal"),
            event_type: EventType::parse(kind).expect("legal"),
            tenant: TenantId::parse("t").expect("legal"),
            user: None,
            session: None,
            topic: None,
            payload: Payload::parse(payload).expect("an object"),
            timestamp: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn calls_are_urgent_and_of_statistics_the_newest_of_each_queue_counts() {
        let classes = EventClasses::default();
        let class = |kind: &str, payload: &str| classes.of(&event(kind, payload));
        for kind in ["call.incoming", "notification", "alert"] {
            assert_eq!(class(kind, "{}"), Class::Urgent, "{kind}");
        }
        assert_eq!(class("agent.status", "{}"), Class::InOrder);
        let support = class("queue.stats", r#"{"queue_name":"support","waiting":3}"#);
        assert_eq!(support, class("queue.stats", r#"{"waiting":4,"queue_name":"support"}"#));
        assert_ne!(support, class("queue.stats", r#"{"queue_name":"sales","waiting":3}"#));
        assert_ne!(support, class("queue.stats.updated", r#"{"queue_name":"support"}"#));
        let of_user = Event { user: Some(UserId::from(7)), ..event("queue.stats", r#"{"queue_name":"support"}"#) };
        assert_ne!(support, classes.of(&of_user));
        assert_eq!(class("queue.stats", r#"{"waiting":3}"#), Class::InOrder, "of no queue in particular");
        let on_topic = Event { topic: hookswitch_protocol::Topic::parse("wall").ok(), ..event("alert", "{}") };
        assert_eq!(classes.of(&on_topic), Class::InOrder);
    }
}
