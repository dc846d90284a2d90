//! One connection as its shard sees it.

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, ConnectionId, Event, EventType, SubscriptionName, Topic};

use crate::attachment::Subject;
use crate::config::HubConfig;
use crate::history::place::Place;
use crate::publish::wire_form::FormId;
use crate::shard::catch_up::{CatchUp, KeptPhase, Resume};
use crate::shard::outbox::Outbox;
use crate::shard::sent::Early;
use crate::shard::transport::HeldTransport;
use crate::trace::record::ConnectionRecord;

/// The most messages that wait in the outbox of a client that does not read.
const BLOCKED_MESSAGES: usize = 16;

/// State of one connection, owned by its shard. What is rarely used sits behind a pointer.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    /// Where its tenant stands in the shard's table.
    pub(crate) tenant: u32,
    /// How its client reads.
    pub(crate) form: FormId,
    /// Queued for a flush.
    pub(crate) is_dirty: bool,
    /// The socket took no more; it will say when it does.
    pub(crate) is_blocked: bool,
    /// A close frame is queued; nothing may follow it.
    pub(crate) closing: Option<CloseCode>,
    /// What it was already: events of the tenant up to this number are not for it any more.
    pub(crate) given: u64,
    pub(crate) beginning: Beginning,
    /// Its client wants strict order, also when it reads too slowly.
    pub(crate) is_strict: bool,
    /// Answers and passing events dropped since the client was last told.
    pub(crate) n_dropped: u32,
    /// Batches up to this one may overfill the outbox, because the connection kept up when they came.
    pub(crate) admitted_batch: u64,
    /// Answers to its own commands queued since the outbox was last empty.
    pub(crate) n_answers: u32,
    /// `None` between attach and open.
    pub(crate) transport: Option<HeldTransport>,
    pub(crate) outbox: Outbox,
    /// Shard time of the last sign of life, in milliseconds.
    pub(crate) heard_at: u64,
    /// Shard time of the last ping, or of the close, or of the attach.
    pub(crate) stirred_at: u64,
    /// Shard time at which the token expires.
    pub(crate) expires_at: u64,
    pub(crate) subject: Subject,
    /// What it subscribed to; `None` when it never did.
    pub(crate) names: Option<Box<[SubscriptionName]>>,
    /// Set while it is behind.
    pub(crate) catch_up: Option<Box<CatchUp>>,
    /// Set where something of its beginning may matter yet.
    pub(crate) early: Option<Box<Early>>,
    pub(crate) kept: Kept,
    pub(crate) record: ConnectionRecord,
}

/// How a connection began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// The last event that there was when it came in.
    pub(crate) came_in: u64,
    /// Whether it was given an event yet.
    pub(crate) has_sent: bool,
    /// The number before its first event; before it had one, the one before which it came in.
    pub(crate) sent_after: u64,
    /// Whether its client may still say where it was before.
    pub(crate) may_resume: bool,
}

/// What became of the kept messages that this connection was to be brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They came, or there were none.
    Brought,
    /// Its subscription left some out: to be looked for again when that grows.
    LeftOut,
}

/// Frames for one connection: back to back in `memory`, ending at `ends`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frames<'a> {
    pub(crate) memory: &'a Bytes,
    /// The place of the first, which the others follow; passing events have none.
    pub(crate) first: Option<Place>,
    pub(crate) start: u32,
    pub(crate) ends: &'a [u32],
    /// The batch they came with.
    pub(crate) batch: u64,
    /// The last batch of which anything is appended in the same go.
    pub(crate) last_batch: u64,
}

impl Frames<'_> {
    /// Without those of events up to this number.
    pub(crate) fn behind(self, given: u64) -> Self {
        let Some(first) = self.first.filter(|first| first.seq <= given) else { return self };
        let n_given = ((given - first.seq + 1) as usize).min(self.ends.len());
        let start = self.ends[n_given - 1];
        Self { first: Some(first.plus(n_given)), start, ends: &self.ends[n_given..], ..self }
    }
}

/// Whether a subscription of these names, or none at all, wants an event of this type and topic.
pub(crate) fn is_named(names: Option<&[SubscriptionName]>, event_type: &EventType, topic: Option<&Topic>) -> bool {
    let Some(names) = names else { return !event_type.is_opt_in() && topic.is_none() };
    names.iter().any(|name| match topic {
        Some(topic) => matches!(name, SubscriptionName::Exact(name) if **name == *topic.as_str()),
        None => name.matches_type(event_type),
    })
}

impl Connection {
    /// Whether the connection's own subscription wants the event.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.wants_named(&event.event_type, event.topic.as_ref())
    }

    /// The same of an event of this type and topic.
    pub(crate) fn wants_named(&self, event_type: &EventType, topic: Option<&Topic>) -> bool {
        is_named(self.names.as_deref(), event_type, topic)
    }

    /// Whether the client reads as fast as it is sent to: what waits, waits for its flush only.
    fn keeps_up(&self) -> bool {
        self.outbox.is_empty() || (self.transport.is_some() && !self.is_blocked)
    }

    /// Queues frames as far as there is room; gives how many were queued. Not for a closing one. What events have no
    /// room, they wait in history for.
    pub(crate) fn append(&mut self, frames: &Frames<'_>, config: &HubConfig) -> usize {
        if self.keeps_up() {
            self.admitted_batch = self.admitted_batch.max(frames.last_batch);
        }
        let n_room = self.room(frames, config);
        if n_room > 0 {
            let end = frames.ends[n_room - 1];
            self.outbox.push_run(frames.memory, frames.start, end, n_room as u32);
            if self.is_blocked {
                self.outbox.unpin();
            }
        }
        match frames.first {
            Some(first) => self.note_sent(first, n_room, frames.ends.len()),
            None => self.n_dropped += (frames.ends.len() - n_room) as u32,
        }
        n_room
    }

    /// So many events from this place on were queued, of so many.
    fn note_sent(&mut self, first: Place, n_queued: usize, n_all: usize) {
        if n_queued > 0 {
            self.note_first(first.seq);
        }
        if n_queued < n_all {
            let cursor = first.plus(n_queued).before();
            if let Some(behind) = &mut self.catch_up {
                behind.stop_broadcast(cursor.seq);
                behind.has_overflowed = true;
            } else {
                self.catch_up = Some(Box::new(CatchUp { has_overflowed: true, ..CatchUp::from(cursor) }));
            }
            if self.is_blocked {
                self.note_slow();
            }
        }
    }

    /// Its client does not read as fast as it is sent to: where it is behind, it is given little at a time.
    pub(crate) fn note_slow(&mut self) {
        if let Some(behind) = &mut self.catch_up
            && !std::mem::replace(&mut behind.is_slow, true)
            && let Some(transport) = &self.transport
        {
            transport.0.fell_behind();
        }
    }

    /// It is given events as they come again, from behind this number on.
    pub(crate) fn note_live(&mut self, given: u64, behind: &CatchUp) {
        self.given = given;
        self.record.note_caught_up((behind.began, given), behind.broadcast_up_to());
        self.forget_early();
        if let (true, Some(transport)) = (behind.is_slow, &self.transport) {
            transport.0.caught_up();
        }
    }

    /// The event with this number is given to it.
    pub(crate) fn note_first(&mut self, seq: u64) {
        if !self.beginning.has_sent {
            (self.beginning.has_sent, self.beginning.sent_after) = (true, seq - 1);
        }
    }

    /// Messages kept for its user that come before anything newer.
    pub(crate) fn kept_phase(&self) -> Option<&KeptPhase> {
        self.catch_up.as_deref()?.kept.as_ref()
    }

    pub(crate) fn kept_phase_mut(&mut self) -> Option<&mut KeptPhase> {
        self.catch_up.as_deref_mut()?.kept.as_mut()
    }

    /// Whether its client is to say first where it was.
    pub(crate) fn awaits_word(&self) -> bool {
        self.catch_up.as_deref().is_some_and(|behind| matches!(behind.resume, Some(Resume::Awaited { .. })))
    }

    /// Whether it gets any of the types that one must ask for.
    pub(crate) fn wants_opt_in(&self) -> bool {
        EventType::OPT_IN.iter().any(|event_type| self.wants_named(event_type, None))
    }

    /// How many of the frames may be queued.
    fn room(&self, frames: &Frames<'_>, config: &HubConfig) -> usize {
        // What a client gets that does not read waits in history, not here.
        let limit = if self.is_blocked { config.outbox_messages.min(BLOCKED_MESSAGES) } else { config.outbox_messages };
        let n_frames = if frames.batch <= self.admitted_batch {
            frames.ends.len()
        } else {
            limit.saturating_sub(self.outbox.n_frames()).min(frames.ends.len())
        };
        if self.outbox.is_empty() && n_frames == 1 {
            return 1;
        }
        let bytes_left = config.outbox_bytes.saturating_sub(self.outbox.n_bytes());
        let fits = |end: &u32| (end - frames.start) as usize <= bytes_left;
        if frames.ends.last().is_some_and(fits) { n_frames } else { frames.ends.partition_point(fits).min(n_frames) }
    }

    /// Queues an answer to one of the client's commands; whether there was room. Answers have an
    /// allowance of their own, so that an answer never takes an event's place.
    pub(crate) fn answer(&mut self, frame: &Bytes, config: &HubConfig) -> bool {
        if self.outbox.is_empty() {
            self.n_answers = 0;
        }
        let has_room = self.n_dropped == 0
            && self.outbox.n_bytes() < config.outbox_bytes
            && (self.n_answers as usize) < config.outbox_messages;
        if has_room {
            self.n_answers += 1;
            self.outbox.push(frame);
        } else {
            self.n_dropped += 1;
        }
        has_room
    }

    /// Whether an empty outbox is all there is to it: no close under way, nothing to come, nothing to tell.
    pub(crate) fn awaits_nothing(&self) -> bool {
        self.closing.is_none() && self.n_dropped == 0 && self.catch_up.is_none()
    }

    /// Whether a client that missed something can be told now.
    pub(crate) fn may_be_told(&self, config: &HubConfig) -> bool {
        self.n_dropped > 0
            && self.closing.is_none()
            && self.outbox.n_frames() * 2 <= config.outbox_messages
            && self.outbox.n_bytes() * 2 <= config.outbox_bytes
    }
}
