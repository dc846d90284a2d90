//! One thing with [`ring`](super::ring), whose part this is: what is remembered of events that are not kept any more, for
//! whoever asks what became of one.

use std::collections::VecDeque;

use hookswitch_protocol::{Event, EventId, EventType, Payload, TenantId, Timestamp, Topic, UserId};
use tokio::time::Instant;

use crate::history::place::Place;
use crate::history::ring::{Recorded, Ring};
use crate::seams::broker::EncodedEvent;

/// What each takes, with its id.
const FORMER_BYTES: usize = size_of::<Former>() + 64;

/// The last events that had to make room, and no older than what is kept may be. They are given to nobody.
#[derive(Debug, Default)]
pub(crate) struct FormerEvents(VecDeque<Former>);

/// An event without its payload.
#[derive(Debug)]
struct Former {
    seq: u64,
    id: EventId,
    event_type: EventType,
    user: Option<UserId>,
    topic: Option<Topic>,
    timestamp: Timestamp,
    is_kept: bool,
    at: Instant,
}

impl FormerEvents {
    /// One that makes room for others; of so many at most.
    pub(crate) fn push(&mut self, recorded: &Recorded, most: usize) {
        let event = recorded.event.event();
        self.0.push_back(Former {
            seq: recorded.place.seq,
            id: event.id.clone(),
            event_type: event.event_type.clone(),
            user: event.user.clone(),
            topic: event.topic.clone(),
            timestamp: event.timestamp,
            is_kept: recorded.event.is_kept(),
            at: recorded.at(),
        });
        while self.0.len() > most {
            self.0.pop_front();
        }
    }

    /// Lets go of those that came before this.
    pub(crate) fn forget_before(&mut self, oldest: Option<Instant>) {
        while self.0.front().is_some_and(|first| oldest.is_some_and(|oldest| first.at < oldest)) {
            self.0.pop_front();
        }
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    /// Lets go of the oldest; whether there was one.
    pub(crate) fn pop(&mut self) -> bool {
        self.0.pop_front().is_some()
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.0.len() * FORMER_BYTES
    }

    fn find(&self, id: &EventId) -> Option<&Former> {
        self.0.iter().rev().find(|former| former.id == *id)
    }
}

impl Former {
    /// The event as far as it is remembered.
    fn event(&self, tenant: &TenantId) -> EncodedEvent {
        let event = Event {
            id: self.id.clone(),
            event_type: self.event_type.clone(),
            tenant: tenant.clone(),
            user: self.user.clone(),
            session: None,
            topic: self.topic.clone(),
            payload: Payload::empty(),
            timestamp: self.timestamp,
        };
        if self.is_kept { EncodedEvent::kept(event) } else { EncodedEvent::new(event) }
    }
}

impl Ring {
    /// The event with this id, as far as it is remembered: what it was, its place, and whether it is kept.
    pub(crate) fn remembered(&self, tenant: &TenantId, id: &EventId) -> Option<(EncodedEvent, Place, bool)> {
        if let Some(recorded) = self.newest_first().find(|recorded| recorded.event.id == *id) {
            return Some((recorded.event.clone(), recorded.place, true));
        }
        let former = self.former().find(id)?;
        Some((former.event(tenant), self.place(former.seq), false))
    }
}
