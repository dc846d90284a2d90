//! What presence and messages for absent users are looked up by.

use hookswitch_protocol::{Event, TenantId, UserId};

/// One user of one tenant: what presence and offline messages are looked up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey {
    /// Whose user it is.
    pub tenant: TenantId,
    /// Which user it is.
    pub user: UserId,
}

impl UserKey {
    /// The one user for whom the event is kept when that user is away. The event of a topic is for
    /// connections that named the topic, and a typing indicator for the moment only.
    pub fn addressee(event: &Event) -> Option<Self> {
        let waits = event.topic.is_none() && !event.event_type.is_passing();
        let user = event.user.clone().filter(|_| waits)?;
        Some(Self { tenant: event.tenant.clone(), user })
    }
}
