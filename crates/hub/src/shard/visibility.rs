//! Which events a connection may see.
//!
//! Live delivery finds the connections of an event by an index, history the events of a connection one by one. What
//! both go by stands here; that they agree, a test shows.

use hookswitch_protocol::{Category, Event, SessionKey};

use crate::attachment::Subject;
use crate::shard::connection::Connection;

/// Whether visitors of the session may see the event.
pub(crate) fn is_for_visitors(event: &Event) -> Option<&SessionKey> {
    let is_open = event.user.is_none()
        && event.topic.is_none()
        && event.event_type.category() == Category::Chat
        && !event.event_type.is_for_admins();
    event.session.as_ref().filter(|_| is_open)
}

/// Whether a connection may see the event of its tenant, and wants it.
pub(super) fn may_see(connection: &Connection, is_admin: bool, event: &Event) -> bool {
    let is_addressed = match &connection.subject {
        Subject::User(user) => event.user.as_ref().is_none_or(|addressee| addressee == user),
        Subject::Visitor(session) => is_for_visitors(event) == Some(session),
    };
    is_addressed && (!event.event_type.is_for_admins() || is_admin) && connection.wants(event)
}
