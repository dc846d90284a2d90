//! What enters the fold.

use hookswitch_protocol::{Event, Position, Timestamp};

/// The type of the record that carries a sync. No client and no webhook sees it.
pub const SYNC_RECORD: &str = "state.sync";
/// The type of the event that says that a source is lost.
pub const SOURCE_LOST: &str = "source.lost";
/// The type of the event that says that a lost source is back.
pub const SOURCE_BACK: &str = "source.back";

/// One of a tenant's positioned events, or a record that only the fold reads.
///
/// Every event with a position is given, also one that does not enter: a hole in the positions is a gap.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its place; `None` while the node is degraded and folds on a copy.
    pub position: Option<Position>,
    /// Its dotted name.
    pub event_type: &'a str,
    /// When it was accepted.
    pub timestamp: Timestamp,
    /// Its payload, JSON.
    pub payload: &'a str,
    /// The chat session it belongs to, as visitors know it.
    pub session: Option<&'a str>,
    /// Who said it.
    pub source: Option<&'a str>,
    /// Whether it is the whole tenant's, and no topic's: others say nothing about state.
    pub is_for_all: bool,
}

impl<'a> Record<'a> {
    /// An event as it was published.
    pub fn of_event(event: &'a Event, source: Option<&'a str>, position: Option<Position>) -> Self {
        Self {
            position,
            event_type: event.event_type.as_str(),
            timestamp: event.timestamp,
            payload: event.payload.as_str(),
            session: event.session.as_ref().map(hookswitch_protocol::SessionKey::as_str),
            source,
            is_for_all: event.user.is_none() && event.topic.is_none(),
        }
    }
}
