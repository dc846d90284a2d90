//! One page of kept messages: what is told before it, and what of it arrived.

use bytes::Bytes;
use hookswitch_protocol::{TenantId, Timestamp};

use crate::notice;
use crate::seams::offline::{Claim, ClaimedMessage, MessageNumber};

/// What no connection of the user was told yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Untold {
    /// Messages dropped over a bound.
    pub(crate) n_dropped: u64,
    /// Messages that ended too many connections.
    pub(crate) n_set_aside: u64,
}

/// What a connection's subscription left out of its pages.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    pub(crate) numbers: Vec<MessageNumber>,
    pub(crate) n_bytes: usize,
}

impl Untold {
    /// What the user is told before the page.
    pub(crate) fn notices(&self, now: Timestamp, tenant: &TenantId) -> Vec<Bytes> {
        let Self { n_dropped, n_set_aside } = *self;
        let dropped = (n_dropped > 0).then(|| {
            format!("{n_dropped} messages kept for you were dropped because too many waited or they were too old")
        });
        let set_aside = (n_set_aside > 0).then(|| {
            format!("{n_set_aside} messages kept for you were set aside because your client ended its connection on each of them twice")
        });
        let told = [(dropped, n_dropped), (set_aside, n_set_aside)];
        let notice = |(text, n): (Option<String>, u64)| text.map(|text| notice::missed(&text, Some(n), now, tenant));
        told.into_iter().filter_map(notice).map(Bytes::from).collect()
    }
}

impl LeftOut {
    /// Adds what was left out of one page.
    pub(crate) fn add(&mut self, messages: Vec<&ClaimedMessage>) {
        self.n_bytes += messages.iter().map(|message| message.envelope.len()).sum::<usize>();
        self.numbers.extend(messages.into_iter().map(|message| message.number));
    }
}

/// The texts of these messages.
pub(crate) fn envelopes<'a>(messages: impl Iterator<Item = &'a ClaimedMessage>) -> Vec<Bytes> {
    messages.map(|message| message.envelope.clone()).collect()
}

/// The messages of a page that arrived, and those that its connection's subscription left out; `left_out` are
/// the places of these in the page, which began with so many notices.
pub(crate) fn parted<'a>(
    claim: &'a Claim,
    left_out: &[usize],
    n_notices: usize,
) -> (Vec<&'a ClaimedMessage>, Vec<&'a ClaimedMessage>) {
    let is_left_out = |at: usize| left_out.binary_search(&(at + n_notices)).is_ok();
    let (left, arrived): (Vec<_>, Vec<_>) = claim.messages.iter().enumerate().partition(|(at, _)| is_left_out(*at));
    let messages = |part: Vec<(usize, &'a ClaimedMessage)>| part.into_iter().map(|(_, message)| message).collect();
    (messages(arrived), messages(left))
}

/// The event's id in its envelope, at whose end it stands; empty in one that was made elsewhere.
pub(crate) fn event_id(envelope: &[u8]) -> &str {
    let end = &envelope[envelope.len().saturating_sub(128)..];
    let end = std::str::from_utf8(end).unwrap_or_default();
    let id = end.rsplit_once("\"id\":\"").map_or("", |(_, id)| id);
    id.split_once('"').map_or("", |(id, _)| id)
}
