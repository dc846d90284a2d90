//! A connection that is behind: where it stands in recent history, and what comes before it goes on from there.

use hookswitch_protocol::Position;
use tokio::sync::oneshot;

use crate::history::place::Place;
use crate::history::ring::{Page, Recorded};
use crate::shard::sent::{Part, Sent, SentSpans, Under};

/// The state of a connection that is not given events as they come.
#[derive(Debug)]
pub(crate) struct CatchUp {
    /// What it may see was given up to here.
    pub(crate) cursor: Place,
    /// Where that began.
    pub(crate) began: u64,
    /// What is for everybody is given as it comes; only what is for its user waits.
    pub(crate) is_broadcast_live: bool,
    /// Its outbox was full: it may be given events in another order.
    pub(crate) has_overflowed: bool,
    /// Its client does not read as fast as it is sent to: few messages at a time wait in its outbox.
    pub(crate) is_slow: bool,
    /// Urgent events were given up to here, ahead of others.
    pub(crate) ahead: u64,
    /// Up to here it was told that some are missing.
    pub(super) told: u64,
    /// What was given already, out of turn.
    pub(crate) sent: SentSpans,
    /// What was given as it came, of what is for everybody, ends here.
    pub(super) broadcast_up_to: u64,
    /// Messages kept for its user come first.
    pub(crate) kept: Option<KeptPhase>,
    /// A client that said where it was is told when it has everything up to where it came in.
    pub(crate) resume: Option<Resume>,
}

/// How far the answer to a resume is.
#[derive(Debug)]
pub(crate) enum Resume {
    /// Where the client was is still to be looked up; `None` is a text that is no position. What it was sent already
    /// ends its replay. How often its history was asked for elsewhere, and whether that is waited for.
    Asked { position: Option<Position>, sent: SentSpans, n_asked: u8, is_waiting: bool },
    /// Told when the cursor comes here.
    Replaying { until: u64, n_replayed: u64 },
    /// The replay fell out of what is kept, and goes on with the oldest.
    Broken { until: u64, n_replayed: u64 },
    /// Nothing is given before the client says where it was. Since when, in shard time, and whether messages may have
    /// been kept for its user.
    Awaited { since: u64, has_kept: bool },
}

/// The messages that were kept for a user who was away.
#[derive(Debug, Default)]
pub(crate) struct KeptPhase {
    /// Whether a delivery task brings them here.
    pub(crate) is_served: bool,
    /// The page on its way.
    pub(crate) page: Option<PageReceipt>,
    pub(crate) n_pages: u64,
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
    /// Bytes of the outbox up to its end, the request included.
    pub(crate) n_bytes_left: usize,
    /// Shard time at which all of that was written.
    pub(crate) written_at: Option<u64>,
}

impl Resume {
    /// The client says where it was.
    pub(crate) fn asked(position: Option<Position>, sent: SentSpans) -> Self {
        Self::Asked { position, sent, n_asked: 0, is_waiting: false }
    }
}

impl CatchUp {
    /// From this place on.
    pub(crate) fn from(cursor: Place) -> Self {
        Self {
            cursor,
            began: cursor.seq,
            is_broadcast_live: false,
            has_overflowed: false,
            is_slow: false,
            ahead: cursor.seq,
            told: 0,
            sent: SentSpans::default(),
            broadcast_up_to: 0,
            kept: None,
            resume: None,
        }
    }

    /// The same for what is for its user; what is for everybody is given as it comes.
    pub(crate) fn of_user(cursor: Place) -> Self {
        Self { is_broadcast_live: true, ..Self::from(cursor) }
    }

    /// From this place on, as soon as it is known where the client was.
    pub(crate) fn resuming(cursor: Place, resume: Resume) -> Self {
        Self { resume: Some(resume), ..Self::from(cursor) }
    }

    /// Whether an event is not given as it comes, but from history. From the first one on that waits, all others do:
    /// a client that comes back to the position of a later one would never be given it.
    pub(crate) fn holds(&mut self, first: Place, is_for_user: bool) -> bool {
        if is_for_user && first.position.is_some() {
            self.stop_broadcast(first.seq - 1);
        }
        is_for_user || !self.is_broadcast_live
    }

    /// Whether an event was given out of turn.
    pub(crate) fn was_sent(&self, recorded: &Recorded) -> bool {
        self.sent.hold(recorded)
    }

    /// Up to where what is for everybody was given as it came, while the rest waited.
    pub(crate) fn broadcast_up_to(&self) -> u64 {
        self.broadcast_up_to
    }

    /// Whether it may go on: neither kept messages nor the client's word are waited for.
    pub(crate) fn may_go_on(&self) -> bool {
        self.kept.is_none() && !matches!(self.resume, Some(Resume::Awaited { .. }))
    }

    /// Whether the client is to be told now that it has everything.
    pub(crate) fn is_at_stop(&self) -> bool {
        match self.resume {
            Some(Resume::Replaying { until, .. } | Resume::Broken { until, .. }) => self.cursor.seq >= until,
            Some(Resume::Asked { .. } | Resume::Awaited { .. }) | None => false,
        }
    }

    /// So many events more were given that the client had missed.
    pub(crate) fn count_replayed(&mut self, n_events: u64) {
        if let Some(Resume::Replaying { n_replayed, .. } | Resume::Broken { n_replayed, .. }) = &mut self.resume {
            *n_replayed += n_events;
        }
    }

    /// What was to come and is not kept any more: behind which place, and up to which. Told once; what is kept before
    /// that, being of the other kind, still comes.
    pub(crate) fn lost(&mut self, page: &Page, wants_opt_in: bool) -> Option<(Place, Place)> {
        let (after, told) = (self.cursor, self.cursor.seq.max(self.told));
        let concerns = [Some(page.lost), Some(page.lost_opt_in).filter(|_| wants_opt_in)];
        let lost = concerns.into_iter().flatten().max_by_key(|lost| lost.seq).filter(|lost| lost.seq > told)?;
        self.told = lost.seq;
        // Past what is gone, but not past what is kept of the other kind.
        let next = page.events.first().map_or(page.head.seq, |next| next.place.seq - 1);
        if page.lost.seq > self.cursor.seq && page.lost.seq <= next {
            self.cursor = page.lost;
        }
        self.fell_out();
        Some((after, lost))
    }

    fn fell_out(&mut self) {
        if let Some(Resume::Replaying { until, n_replayed }) = self.resume {
            self.resume = Some(Resume::Broken { until, n_replayed });
        }
    }

    /// Nothing is given as it comes any more; what was, up to here, is not given again.
    pub(crate) fn stop_broadcast(&mut self, up_to: u64) {
        if std::mem::take(&mut self.is_broadcast_live) {
            self.broadcast_up_to = up_to;
            self.sent.push(Sent { after: self.cursor.seq, up_to, part: Part::Broadcast, under: Under::Any });
        }
    }
}

impl KeptPhase {
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
    /// So many bytes more were written; how many of all of these stand behind the page, where that is written now.
    pub(crate) fn note_written(&mut self, n_bytes: usize) -> Option<usize> {
        let n_left = self.n_bytes_left;
        self.n_bytes_left = n_left.saturating_sub(n_bytes);
        (self.written_at.is_none() && n_bytes >= n_left).then(|| n_bytes - n_left)
    }

    /// Its messages arrived, but for those that were left out.
    pub(crate) fn arrived(self) {
        // The delivery task may have been ended by a shutdown; then the store takes the page back.
        let _gone = self.done.send(PageEnd::Arrived { left_out: self.left_out });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: u64) -> Place {
        Place { seq, position: None }
    }

    #[test]
    fn what_is_kept_is_not_passed_over_for_what_is_not() {
        let page = |lost: u64, lost_opt_in: u64| Page {
            events: Vec::new(),
            superseded: Vec::new(),
            head: place(100),
            lost: place(lost),
            lost_opt_in: place(lost_opt_in),
        };
        let mut behind = CatchUp::from(place(10));
        assert_eq!(behind.lost(&page(5, 50), false), None, "it asked for none of these");
        assert_eq!(behind.lost(&page(5, 50), true), Some((place(10), place(50))));
        assert_eq!(behind.cursor, place(10), "others behind it are kept");
        assert_eq!(behind.lost(&page(5, 50), true), None, "told once");
        assert_eq!(behind.lost(&page(60, 50), true), Some((place(10), place(60))));
        assert_eq!(behind.cursor, place(60), "nothing is kept before");
        assert_eq!(behind.lost(&page(60, 50), true), None);
    }
}
