//! One connection as its shard sees it.

use std::collections::VecDeque;

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, ConnectionId, Event, EventType, SubscriptionName, Topic};
use tokio::sync::oneshot;

use crate::attachment::Subject;
use crate::config::HubConfig;
use crate::publish::wire_form::FormId;
use crate::shard::outbox::Outbox;
use crate::shard::transport::HeldTransport;

/// State of one connection, owned by its shard. What is rarely used sits behind `cold`.
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
    /// Messages dropped since the client was last told.
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
    pub(crate) backlog: Option<Box<BacklogState>>,
    pub(crate) kept: Kept,
}

/// What became of the kept messages that this connection was to be brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They came, or there were none.
    Brought,
    /// Its subscription left some out: to be looked for again when that grows.
    LeftOut,
}

/// A connection whose user's missed messages come first.
#[derive(Debug, Default)]
pub(crate) struct BacklogState {
    /// Whether a delivery task brings them here; before, and on the user's other connections, newer
    /// events are only held back.
    pub(crate) is_served: bool,
    /// Newer events for the user, waiting behind the backlog.
    pub(crate) held: VecDeque<HeldEvent>,
    n_held_bytes: usize,
    /// Events for the user that found no room among these.
    pub(crate) n_dropped: u32,
    /// The page on its way.
    pub(crate) page: Option<PageReceipt>,
    pub(crate) n_pages: u64,
}

/// One event behind a backlog.
#[derive(Debug)]
pub(crate) struct HeldEvent {
    pub(crate) event_type: EventType,
    pub(crate) topic: Option<Topic>,
    pub(crate) frame: Bytes,
}

/// How a page of missed messages ended that did not end with its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PageEnd {
    /// The client has it, but for the messages at these places, rising, which its subscription leaves out.
    Arrived { left_out: Vec<usize> },
    /// The connection was closed by this node, or was about to be.
    Interrupted,
}

/// Proof awaited for one page: the client's answer to the request sent behind it.
#[derive(Debug)]
pub(crate) struct PageReceipt {
    pub(crate) number: u64,
    pub(crate) done: oneshot::Sender<PageEnd>,
    pub(crate) left_out: Vec<usize>,
    /// Shard time at which everything, the request included, was written.
    pub(crate) written_at: Option<u64>,
}

impl BacklogState {
    /// Keeps frames of events like this one behind the backlog, as far as there is room; gives how many
    /// fitted. One always does.
    pub(crate) fn hold(&mut self, frames: Frames<'_>, event: &Event, config: &HubConfig) -> usize {
        let mut start = frames.start as usize;
        let n_before = self.held.len();
        for end in frames.ends.iter().map(|end| *end as usize) {
            let n_bytes = self.n_held_bytes + end - start;
            let fits = self.held.len() < config.outbox_messages && n_bytes <= config.outbox_bytes;
            // Once one was dropped the rest must be too, or the gap would not be where it is told.
            if self.n_dropped > 0 || !(fits || self.held.is_empty()) {
                break;
            }
            // Copied, so that a held event does not pin its whole burst.
            let frame = Bytes::copy_from_slice(&frames.memory[start..end]);
            let (event_type, topic) = (event.event_type.clone(), event.topic.clone());
            self.held.push_back(HeldEvent { event_type, topic, frame });
            self.n_held_bytes = n_bytes;
            start = end;
        }
        let n_held = self.held.len() - n_before;
        self.n_dropped += (frames.ends.len() - n_held) as u32;
        n_held
    }

    /// The page on its way, if there is one, arrived.
    pub(crate) fn arrived(&mut self) {
        if let Some(page) = self.page.take() {
            page.arrived();
        }
    }

    /// The page on its way, if there is one, is given up by this node.
    pub(crate) fn interrupt(&mut self) {
        if let Some(page) = self.page.take() {
            let _gone = page.done.send(PageEnd::Interrupted);
        }
    }
}

impl PageReceipt {
    /// Its messages arrived, but for those that were left out.
    pub(crate) fn arrived(self) {
        // The delivery task may have been ended by a shutdown; then the store takes the page back.
        let _gone = self.done.send(PageEnd::Arrived { left_out: self.left_out });
    }
}

/// Frames for one connection: back to back in `memory`, ending at `ends`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frames<'a> {
    pub(crate) memory: &'a Bytes,
    pub(crate) start: u32,
    pub(crate) ends: &'a [u32],
    /// The batch they came with.
    pub(crate) batch: u64,
    /// The last batch of which anything is appended in the same go.
    pub(crate) last_batch: u64,
}

impl Connection {
    /// Whether the connection's own subscription wants the event.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.wants_named(&event.event_type, event.topic.as_ref())
    }

    /// The same of an event of this type and topic.
    pub(crate) fn wants_named(&self, event_type: &EventType, topic: Option<&Topic>) -> bool {
        let Some(names) = &self.names else { return !event_type.is_opt_in() && topic.is_none() };
        names.iter().any(|name| match topic {
            Some(topic) => matches!(name, SubscriptionName::Exact(name) if **name == *topic.as_str()),
            None => name.matches_type(event_type),
        })
    }

    /// Whether the client reads as fast as it is sent to: what waits, waits for its flush only.
    fn keeps_up(&self) -> bool {
        self.outbox.is_empty() || (self.transport.is_some() && !self.is_blocked)
    }

    /// Queues frames as far as there is room; gives how many were queued. Not for a closing one.
    pub(crate) fn append(&mut self, frames: Frames<'_>, config: &HubConfig) -> usize {
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
        self.n_dropped += (frames.ends.len() - n_room) as u32;
        n_room
    }

    /// How many of the frames may be queued. Once something was dropped nothing is queued until the
    /// client was told, so that the notice stands exactly where the gap is.
    fn room(&self, frames: Frames<'_>, config: &HubConfig) -> usize {
        if self.n_dropped > 0 {
            return 0;
        }
        let n_frames = if frames.batch <= self.admitted_batch {
            frames.ends.len()
        } else {
            config.outbox_messages.saturating_sub(self.outbox.n_frames()).min(frames.ends.len())
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

    /// Whether an empty outbox is all there is to it: no close under way, no page, nothing to tell.
    pub(crate) fn awaits_nothing(&self) -> bool {
        self.closing.is_none() && self.n_dropped == 0 && self.backlog.is_none()
    }

    /// Whether a client that missed something can be told now.
    pub(crate) fn may_be_told(&self, config: &HubConfig) -> bool {
        self.n_dropped > 0
            && self.closing.is_none()
            && self.outbox.n_frames() * 2 <= config.outbox_messages
            && self.outbox.n_bytes() * 2 <= config.outbox_bytes
    }
}
