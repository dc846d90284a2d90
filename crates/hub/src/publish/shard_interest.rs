//! What one shard's connections of one tenant listen to, for publishers to look at: waking a thread
//! costs as much as several writes, so an event goes only to shards where somebody may want it.

use std::collections::HashMap;
use std::sync::Arc;

use hookswitch_protocol::{Event, EventType, NewEvent, SubscriptionName, Topic};

use crate::attachment::Subject;

/// Counts of what is listened to. It never denies a listener; it may name one who does not care.
#[derive(Debug, Default)]
pub(crate) struct ShardInterest {
    n_connections: usize,
    /// Users that never subscribed, and subscribed patterns: whoever may hear of any event type.
    n_broadcast: usize,
    /// How often each event type or topic was subscribed to by its exact name.
    exact: HashMap<Arc<str>, usize>,
}

impl ShardInterest {
    /// A connection was attached.
    pub(crate) fn join(&mut self, subject: &Subject) {
        self.n_connections += 1;
        if matches!(subject, Subject::User(_)) {
            self.n_broadcast += 1;
        }
    }

    /// It is gone; `names` is its subscription, if it ever had one.
    pub(crate) fn leave(&mut self, subject: &Subject, names: Option<&[SubscriptionName]>) {
        self.n_connections -= 1;
        match (subject, names) {
            (Subject::User(_), None) => self.n_broadcast -= 1,
            (Subject::User(_), Some(names)) => {
                for name in names {
                    self.remove(name);
                }
            }
            // Visitors hear of their session only, and its events are not asked for here.
            (Subject::Visitor(_), _) => {}
        }
    }

    /// A user subscribed for the first time: it no longer gets everything.
    pub(crate) fn narrow(&mut self) {
        self.n_broadcast -= 1;
    }

    /// A user subscribed to one more name.
    pub(crate) fn add(&mut self, name: &SubscriptionName) {
        match name {
            SubscriptionName::Exact(name) => *self.exact.entry(Arc::clone(name)).or_default() += 1,
            SubscriptionName::Prefix(_) => self.n_broadcast += 1,
        }
    }

    /// A user gave one name up.
    pub(crate) fn remove(&mut self, name: &SubscriptionName) {
        match name {
            SubscriptionName::Prefix(_) => self.n_broadcast -= 1,
            SubscriptionName::Exact(name) => {
                if let Some(count) = self.exact.get_mut(name) {
                    *count -= 1;
                    if *count == 0 {
                        self.exact.remove(name);
                    }
                }
            }
        }
    }

    /// Whether anybody is here at all.
    pub(crate) fn is_anybody(&self) -> bool {
        self.n_connections > 0
    }

    /// Whether anybody here may want the event. Users and sessions are not looked up.
    pub(crate) fn may_want(&self, event: &Event) -> bool {
        self.hears(&event.event_type, event.topic.as_ref(), event.user.is_some() || event.session.is_some())
    }

    /// The same of an event that is not accepted yet.
    pub(crate) fn may_want_new(&self, event: &NewEvent) -> bool {
        self.hears(&event.event_type, event.topic.as_ref(), event.user.is_some() || event.session.is_some())
    }

    /// `is_addressed` says that it is for a user or a session.
    fn hears(&self, event_type: &EventType, topic: Option<&Topic>, is_addressed: bool) -> bool {
        let name = topic.map_or(event_type.as_str(), Topic::as_str);
        self.is_anybody() && (is_addressed || self.n_broadcast > 0 || self.exact.contains_key(name))
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{EventId, Payload, SessionKey, TenantId, Timestamp, UserId};

    use super::*;

    fn alert() -> Event {
        Event {
            id: EventId::parse("e").expect("legal"),
            event_type: EventType::ALERT,
            tenant: TenantId::parse("t").expect("legal"),
            user: None,
            session: None,
            topic: None,
            payload: Payload::empty(),
            timestamp: Timestamp::from_millis(0),
        }
    }

    fn name(name: &str) -> SubscriptionName {
        SubscriptionName::parse(name).expect("legal")
    }

    #[test]
    fn who_wants_an_event_is_never_denied() {
        let user = Subject::User(UserId::from(1));
        let mut interest = ShardInterest::default();
        assert!(!interest.may_want(&Event { user: Some(UserId::from(1)), ..alert() }), "nobody is here");
        interest.join(&user);
        assert!(interest.may_want(&alert()), "it gets everything");
        interest.add(&name("call.ended"));
        interest.narrow();
        assert!(!interest.may_want(&alert()));
        let of_session = Event { session: Some(SessionKey::parse("s").expect("legal")), ..alert() };
        assert!(interest.may_want(&of_session), "sessions are looked up by the shard");
        let on_wall = Event { topic: Some(Topic::parse("wall").expect("legal")), ..alert() };
        for wanted in ["alert", "*", "wall"].map(name) {
            let event = if wanted == name("wall") { &on_wall } else { &alert() };
            interest.add(&wanted);
            assert!(interest.may_want(event), "{wanted:?}");
            interest.remove(&wanted);
            assert!(!interest.may_want(event), "{wanted:?} was given up");
        }
        interest.leave(&user, Some(&[name("call.ended")]));
        assert!(interest.exact.is_empty() && interest.n_broadcast == 0 && !interest.is_anybody());
    }
}
