//! Which events a connection may see.
//!
//! Live delivery finds the connections of an event by an index, history the events of a connection one by one. What
//! both go by stands here; that they agree, a test shows.

use hookswitch_protocol::{Category, Event, SessionKey};

use crate::attachment::Subject;
use crate::seams::broker::EncodedEvent;
use crate::shard::connection::Connection;

/// Whether visitors of the session may see the event.
pub(crate) fn is_for_visitors(event: &Event) -> Option<&SessionKey> {
    let is_open = event.user.is_none()
        && event.topic.is_none()
        && event.event_type.category() == Category::Chat
        && !event.event_type.is_for_admins();
    event.session.as_ref().filter(|_| is_open)
}

/// Whether the event is for whoever this is, whatever he subscribed to.
pub(crate) fn is_for(subject: &Subject, is_admin: bool, event: &Event) -> bool {
    let is_addressed = match subject {
        Subject::User(user) => event.user.as_ref().is_none_or(|addressee| addressee == user),
        Subject::Visitor(session) => is_for_visitors(event) == Some(session),
    };
    is_addressed && (!event.event_type.is_for_admins() || is_admin)
}

/// Whether a connection may see the event of its tenant, and wants it. What is kept comes from the store alone.
pub(super) fn may_see(connection: &Connection, is_admin: bool, event: &EncodedEvent) -> bool {
    !event.is_kept() && is_for(&connection.subject, is_admin, event) && connection.wants(event)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::Arc;

    use hookswitch_protocol::{EventId, EventType, Payload, SubscriptionName, TenantId, Timestamp, Topic, UserId};
    use hookswitch_runtime::{Clock, Scope};
    use proptest::prelude::*;

    use super::*;
    use crate::attachment::{Attachment, Clearance};
    use crate::config::HubConfig;
    use crate::memory::MemoryTransport;
    use crate::shard::tenant_table::Audience;
    use crate::shard::{Shard, SlotKey};
    use crate::shared::Shared;

    const NAMES: [&str; 7] = ["*", "call.*", "chat.*", "alert", "webhook.disabled", "presence.changed", "wall"];
    const TYPES: [&str; 6] =
        ["call.incoming", "chat.message", "chat.session.ended", "alert", "webhook.disabled", "presence.changed"];

    /// Who: a user or a visitor by number, maybe an administrator; what it subscribed to, and took away again.
    type Who = (bool, u8, bool, Option<Vec<usize>>, Vec<usize>);

    fn who() -> impl Strategy<Value = Who> {
        let names = || prop::collection::vec(0..NAMES.len(), 0..4);
        (any::<bool>(), 0u8..3, any::<bool>(), prop::option::of(names()), names())
    }

    /// Of what type, for which user, in which session, on the topic or not, kept or not.
    fn event() -> impl Strategy<Value = EncodedEvent> {
        let one = || prop::option::of(0u8..3);
        (0..TYPES.len(), one(), one(), any::<bool>(), any::<bool>()).prop_map(
            |(kind, user, session, on_topic, is_kept)| {
                let event = Event {
                    id: EventId::parse("e").expect("legal"),
                    event_type: EventType::parse(TYPES[kind]).expect("legal"),
                    tenant: tenant(),
                    user: user.map(|number| UserId::from(i64::from(number))),
                    session: session.map(session_key),
                    topic: on_topic.then(|| Topic::parse("wall").expect("legal")),
                    payload: Payload::empty(),
                    timestamp: Timestamp::from_millis(0),
                };
                if is_kept { EncodedEvent::kept(event) } else { EncodedEvent::new(event) }
            },
        )
    }

    fn tenant() -> TenantId {
        TenantId::parse("t").expect("legal")
    }

    fn session_key(number: u8) -> SessionKey {
        SessionKey::parse(&format!("s{number}")).expect("legal")
    }

    fn attach(shard: &Rc<RefCell<Shard>>, (is_user, number, is_admin, subscribed, taken_away): Who) -> SlotKey {
        let subject = if is_user {
            Subject::User(UserId::from(i64::from(number)))
        } else {
            Subject::Visitor(session_key(number))
        };
        let clearance = if is_user && is_admin { Clearance::Admin } else { Clearance::Standard };
        let who = Attachment { clearance, ..Attachment::new(tenant(), subject) };
        let mut shard = shard.borrow_mut();
        shard.shared.connection_counts.add(&who).expect("room");
        let form = shard.shared.forms.number(MemoryTransport::FORM);
        let key = shard.attach(&who, form, false);
        let names = |chosen: Vec<usize>| -> Vec<SubscriptionName> {
            chosen.into_iter().map(|at| SubscriptionName::parse(NAMES[at]).expect("legal")).collect()
        };
        if let Some(subscribed) = subscribed {
            shard.subscribe(key, &names(subscribed)).expect("few");
            shard.unsubscribe(key, &names(taken_away));
        }
        key
    }

    proptest! {
        /// Whom the index finds for an event as it comes is who may see it in history.
        #[test]
        fn live_delivery_and_history_agree(
            everybody in prop::collection::vec(who(), 1..12),
            events in prop::collection::vec(event(), 1..12),
        ) {
            let (clock, config) = (Clock::system(), Arc::new(HubConfig::default()));
            let shared = Arc::new(Shared::new(&config, clock.clone()));
            let shard = Shard::new(0, config, clock, shared, Scope::root("visibility"));
            let keys: Vec<SlotKey> = everybody.into_iter().map(|who| attach(&shard, who)).collect();
            let mut audience = Audience::default();
            for event in events {
                let mut shard = shard.borrow_mut();
                let table = shard.by_tenant[&tenant()] as usize;
                shard.tenants[table].audience(&event, &mut audience);
                let heard = audience.slots.iter().enumerate().filter(|(at, slot)| {
                    audience.is_wanted(*at, &shard.connections[**slot as usize], &event)
                });
                let mut live: Vec<u32> = heard.map(|(_, slot)| *slot).collect();
                live.sort_unstable();
                let sees = |slot: &u32| {
                    may_see(&shard.connections[*slot as usize], shard.tenants[table].is_admin(*slot), &event)
                };
                let mut in_history: Vec<u32> = keys.iter().map(|key| key.slot).filter(sees).collect();
                in_history.sort_unstable();
                prop_assert_eq!(live, in_history, "{:?}", event);
            }
        }
    }
}
