//! How an attempt ended, for its delivery and for its log row.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_egress::{Exchange, Failure, Timings};
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};

use super::retry_after;
use crate::seams::attempt_log::AttemptRow;

/// What is kept of an answer's body, in the log, as text. A log row per attempt must stay small: at a
/// thousand attempts a second the 64 KiB that are read would fill a disk within the hour.
pub(super) const KEPT_BYTES: usize = 4 * 1024;

/// How one attempt ended.
///
/// The status decides: once it is known, whatever goes wrong while the body is read (too long, cut
/// off, too slow) is noted in `failure` and changes nothing else, so that the figures, which count
/// rows with 2xx, and the deliveries' states agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AttemptOutcome {
    /// The answer's status, when there was one.
    pub(crate) status: Option<u16>,
    /// The start of the answer's body.
    pub(crate) body: Option<String>,
    /// What went wrong.
    pub(crate) failure: Option<Failure>,
    /// How long the receiver asks us to wait before the next attempt, at most a day; with any status.
    pub(crate) retry_after: Option<Duration>,
    /// The phases it went through.
    pub(crate) timings: Timings,
    /// From the first step to the end of the body.
    pub(crate) took: Duration,
    /// What went wrong is no fault of the receiver, but of our own proxy or resolver.
    pub(crate) is_ours: bool,
}

impl AttemptOutcome {
    /// An attempt that ended in this exchange, which was over at `now`.
    pub(super) fn of(exchange: Exchange, now: Timestamp) -> Self {
        let Exchange { head, body, failure, timings } = exchange;
        let retry_after = head.as_ref().and_then(|head| retry_after::read(&head.headers, now));
        let body = head.is_some().then(|| text_of(&body));
        let status = head.map(|head| head.status.as_u16());
        Self { status, body, failure, retry_after, timings, ..Self::default() }
    }

    /// Whether the receiver said 2xx.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether another attempt may do better: after a 5xx, or without a status after a network error or timeout.
    pub(crate) fn is_worth_retrying(&self) -> bool {
        match (self.status, self.failure) {
            (Some(status), _) => (500..600).contains(&status),
            (None, Some(failure)) => failure.class().is_worth_retrying(),
            (None, None) => false,
        }
    }

    /// The log row of this attempt.
    pub(crate) fn into_row(
        self,
        webhook: WebhookId,
        delivery: DeliveryId,
        event_type: EventType,
        body: Bytes,
        attempt: u32,
        at: Timestamp,
    ) -> AttemptRow {
        AttemptRow {
            webhook,
            event_type,
            body,
            response_code: self.status,
            response_body: self.body,
            error: self.failure.map(|failure| failure.to_string()),
            duration_ms: self.took.as_millis() as u32,
            attempt,
            delivery: Some(delivery),
            timings: self.timings,
            at,
        }
    }
}

/// The kept bytes as text for a column: what is no UTF-8 is replaced, and so are zero characters,
/// which some databases and tools take for an end.
fn text_of(kept: &[u8]) -> String {
    let kept = match std::str::from_utf8(kept) {
        // A character cut in half by the limit is no mistake of the receiver.
        Err(cut) if kept.len() == KEPT_BYTES && cut.error_len().is_none() => &kept[..cut.valid_up_to()],
        _ => kept,
    };
    String::from_utf8_lossy(kept).replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_body_is_text_whatever_came() {
        assert_eq!(text_of(b"a\0b\xFFc"), "a\u{FFFD}b\u{FFFD}c");
        let mut cut = vec![b'x'; KEPT_BYTES - 1];
        cut.push("é".as_bytes()[0]);
        assert_eq!(text_of(&cut), "x".repeat(KEPT_BYTES - 1), "the half character is left out");
    }
}
