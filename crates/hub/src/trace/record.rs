//! What a connection notes of itself at its few turns, so that it can be told later what became of an event.

use std::net::IpAddr;

use hookswitch_protocol::{SubscriptionName, Timestamp, UserId};
use smallvec::SmallVec;

/// Spans remembered of one kind; beyond it the oldest go.
const SPANS: usize = 16;

/// Kept by a connection from attach to its end. Counts by sequence numbers.
#[derive(Debug)]
pub(crate) struct ConnectionRecord {
    pub(crate) since: Timestamp,
    pub(crate) address: Option<IpAddr>,
    /// Behind this event its first subscription was in force.
    subscribed_after: Option<u64>,
    /// Behind this one it was changed last.
    changed_after: Option<u64>,
    /// It takes nothing behind this event any more.
    pub(crate) gone_after: Option<u64>,
    /// What did not go its ordinary way, which is rare.
    detours: Option<Box<Detours>>,
}

#[derive(Debug, Default)]
struct Detours {
    caught_up: SmallVec<[Span; 2]>,
    lost: SmallVec<[Span; 2]>,
}

/// Events behind the first number, up to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    after: u64,
    up_to: u64,
    /// Only those for one user; the others were given as they came.
    is_of_user: bool,
}

/// What was subscribed to when an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscribed<'a> {
    To(Option<&'a [SubscriptionName]>),
    Unknown,
}

impl Span {
    fn holds(self, seq: u64, is_for_user: bool) -> bool {
        seq > self.after && seq <= self.up_to && (is_for_user || !self.is_of_user)
    }
}

impl ConnectionRecord {
    pub(crate) fn new(since: Timestamp, address: Option<IpAddr>) -> Self {
        Self { since, address, subscribed_after: None, changed_after: None, gone_after: None, detours: None }
    }

    /// What is kept of it beyond its connection.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.since, self.address))
    }

    /// The subscription changes behind this event.
    pub(crate) fn note_subscription(&mut self, appended: u64, is_first: bool) {
        if is_first {
            self.subscribed_after = Some(appended);
        } else {
            self.changed_after = Some(appended);
        }
    }

    /// What it was subscribed to at this event, where it is subscribed to `now` at present.
    pub(crate) fn subscribed_at<'a>(&self, seq: u64, now: Option<&'a [SubscriptionName]>) -> Subscribed<'a> {
        if self.subscribed_after.is_some_and(|after| seq <= after) {
            return Subscribed::To(None);
        }
        if self.changed_after.is_some_and(|after| seq <= after) { Subscribed::Unknown } else { Subscribed::To(now) }
    }

    /// Events behind the first number, up to the second, were given from history; those for everybody from
    /// `broadcast_after` on only.
    pub(crate) fn note_caught_up(&mut self, (after, up_to): (u64, u64), broadcast_after: u64) {
        let caught_up = &mut self.detours.get_or_insert_default().caught_up;
        let live = Span { after, up_to: broadcast_after.min(up_to), is_of_user: true };
        let all = Span { after: after.max(broadcast_after), up_to, is_of_user: false };
        for span in [live, all].into_iter().filter(|span| span.after < span.up_to) {
            push(caught_up, span);
        }
        if self.detours.as_ref().is_some_and(|detours| detours.caught_up.is_empty() && detours.lost.is_empty()) {
            self.detours = None;
        }
    }

    /// History held these no longer when their turn came.
    pub(crate) fn note_lost(&mut self, (after, up_to): (u64, u64)) {
        push(&mut self.detours.get_or_insert_default().lost, Span { after, up_to, is_of_user: false });
    }

    pub(crate) fn has_caught_up(&self, seq: u64, is_for_user: bool) -> bool {
        self.detours.as_ref().is_some_and(|detours| detours.caught_up.iter().any(|span| span.holds(seq, is_for_user)))
    }

    pub(crate) fn has_lost(&self, seq: u64) -> bool {
        self.detours.as_ref().is_some_and(|detours| detours.lost.iter().any(|span| span.holds(seq, true)))
    }

    /// Bytes beside its own.
    pub(crate) fn n_bytes(&self) -> usize {
        let spans = |detours: &Detours| (detours.caught_up.len() + detours.lost.len()) * size_of::<Span>();
        self.detours.as_ref().map_or(0, |detours| size_of::<Detours>() + spans(detours))
    }
}

fn push(spans: &mut SmallVec<[Span; 2]>, span: Span) {
    if let Some(last) = spans.last_mut().filter(|last| last.up_to == span.after && last.is_of_user == span.is_of_user) {
        last.up_to = span.up_to;
        return;
    }
    if spans.len() == SPANS {
        spans.remove(0);
    }
    spans.push(span);
}

/// Bytes of a user's id beside its own.
pub(crate) fn user_bytes(user: &UserId) -> usize {
    match user {
        UserId::Number(_) => 0,
        UserId::Text(text) => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> ConnectionRecord {
        ConnectionRecord::new(Timestamp::from_millis(0), None)
    }

    #[test]
    fn spans_join_and_are_few() {
        let mut record = fresh();
        record.note_caught_up((10, 20), 0);
        record.note_caught_up((20, 30), 0);
        record.note_lost((5, 10));
        assert!(record.has_caught_up(11, false) && record.has_caught_up(30, false));
        assert!(!record.has_caught_up(10, true) && !record.has_caught_up(31, true));
        assert!(record.has_lost(6) && !record.has_lost(11));
        for n in 0..100 {
            record.note_caught_up((100 + n * 10, 105 + n * 10), 0);
        }
        assert!(!record.has_caught_up(11, false) && record.has_caught_up(1_095, false), "the oldest went");
        assert!(record.n_bytes() < 1_024);
    }

    #[test]
    fn what_came_live_beside_it_was_not_caught_up() {
        let mut record = fresh();
        record.note_caught_up((10, 30), 20);
        assert_eq!([15, 25].map(|seq| record.has_caught_up(seq, false)), [false, true]);
        assert_eq!([15, 25].map(|seq| record.has_caught_up(seq, true)), [true, true]);
        let mut record = fresh();
        record.note_caught_up((10, 10), 0);
        assert_eq!(record.n_bytes(), 0, "nothing was caught up");
    }

    #[test]
    fn a_subscription_that_was_changed_since_is_not_known() {
        let mut record = fresh();
        assert_eq!(record.subscribed_at(1, None), Subscribed::To(None));
        record.note_subscription(10, true);
        assert_eq!(record.subscribed_at(10, Some(&[])), Subscribed::To(None), "it got everything then");
        assert_eq!(record.subscribed_at(11, Some(&[])), Subscribed::To(Some(&[])));
        record.note_subscription(20, false);
        assert_eq!(record.subscribed_at(20, Some(&[])), Subscribed::Unknown);
        assert_eq!(record.subscribed_at(21, Some(&[])), Subscribed::To(Some(&[])));
    }
}
