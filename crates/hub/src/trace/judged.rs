//! What became of an event for one connection, by what both remember.

use hookswitch_protocol::SubscriptionName;

use crate::attachment::Subject;
use crate::seams::broker::EncodedEvent;
use crate::shard::connection::is_named;
use crate::shard::visibility::is_for;
use crate::trace::record::{ConnectionRecord, Subscribed};
use crate::trace::report::Outcome;

/// The event that was asked about, as this node remembers it.
#[derive(Debug, Clone)]
pub(crate) struct AskedEvent {
    pub(crate) seq: u64,
    /// Without its payload where history holds it no longer.
    pub(crate) event: EncodedEvent,
    /// Whether history holds it still.
    pub(crate) is_held: bool,
}

/// One connection, open or closed.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) record: &'a ConnectionRecord,
    pub(crate) subject: &'a Subject,
    pub(crate) names: Option<&'a [SubscriptionName]>,
    pub(crate) is_admin: bool,
    /// Events up to here were there before it.
    pub(crate) came_in: u64,
    /// Events up to here were handed to it, or passed over.
    pub(crate) appended: u64,
    /// Where it stands while it is behind.
    pub(crate) behind: Option<Behind>,
    /// Frames that were not written.
    pub(crate) n_unwritten: usize,
}

/// A connection that is given events from history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behind {
    /// Where that began.
    pub(crate) began: u64,
    /// How far it is.
    pub(crate) cursor: u64,
    /// What is for everybody is given as it comes.
    pub(crate) is_broadcast_live: bool,
}

impl Judged<'_> {
    /// `n_later` counts those events behind it that were handed to the connection; asked for where frames wait.
    pub(crate) fn outcome(&self, asked: &AskedEvent, n_later: impl FnOnce() -> usize) -> Outcome {
        let AskedEvent { seq, event, is_held } = asked;
        let (seq, is_for_user) = (*seq, event.user.is_some());
        let is_over = self.record.gone_after.is_some();
        let behind = self.behind.filter(|behind| is_for_user || !behind.is_broadcast_live);
        let is_replayed =
            behind.is_some_and(|behind| seq > behind.began) || self.record.has_caught_up(seq, is_for_user);
        let is_before = seq <= self.came_in && !is_replayed && !self.record.has_lost(seq);
        if is_before || self.record.gone_after.is_some_and(|last| seq > last) {
            return Outcome::NotConnected;
        }
        let names = match self.record.subscribed_at(seq, self.names) {
            // History is given by what is subscribed to then.
            _ if is_replayed => self.names,
            Subscribed::To(names) => names,
            Subscribed::Unknown => return Outcome::Unknown,
        };
        if let Some(reason) = self.left_out(event, names) {
            return reason;
        }
        let not_yet = if is_over { Outcome::Unsent } else { Outcome::Waiting };
        match behind {
            _ if !is_held && self.record.has_lost(seq) => Outcome::Dropped,
            Some(behind) if seq > behind.cursor => not_yet,
            None if seq > self.appended => not_yet,
            _ if self.n_unwritten > 0 && n_later() < self.n_unwritten => not_yet,
            _ if is_replayed => Outcome::CaughtUp,
            _ => Outcome::Written,
        }
    }

    /// Whether it is an event for this connection as it is subscribed at present.
    pub(crate) fn is_given(&self, event: &EncodedEvent) -> bool {
        self.left_out(event, self.names).is_none()
    }

    /// Why it is not for this connection, if it is not.
    fn left_out(&self, event: &EncodedEvent, names: Option<&[SubscriptionName]>) -> Option<Outcome> {
        if !is_for(self.subject, self.is_admin, event) {
            return Some(Outcome::NotAddressed);
        }
        if event.is_kept() {
            return Some(Outcome::Kept);
        }
        let is_wanted = is_named(names, &event.event_type, event.topic.as_ref());
        (!is_wanted).then_some(Outcome::NotSubscribed)
    }
}
