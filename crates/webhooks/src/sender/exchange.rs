//! One request and its answer, up to the deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hookswitch_protocol::Timestamp;
use http::{Extensions, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use tokio::time::{Instant, timeout_at};

use super::failure::{failure_of, timings_of, was_closed};
use super::{Pool, retry_after};
use crate::guard::Marks;
use crate::outcome::{AttemptOutcome, ErrorClass, Failure};
use crate::timings::{Timings, millis};

/// What is read of an answer's body; the rest is not waited for. The head may be as long.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// What is kept of it in the log, as text. A log row per attempt must stay small: at a thousand
/// attempts a second the whole 64 KiB would fill a disk within the hour.
const KEPT_BYTES: usize = 4 * 1024;

/// A kept connection that breaks later than this after the request was sent did not break because
/// the receiver had closed it before; then sending again would burden it twice.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// A connection older than this serves no further request, so that under steady traffic too its name
/// is resolved and judged again, and a receiver that has moved is found.
const LONGEST_USE: Duration = Duration::from_mins(5);

/// What all tries of one attempt share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) deadline: Instant,
    pub(super) now: Timestamp,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: AttemptOutcome,
    /// Without an answer, because a connection that was used before had been closed in the meantime.
    pub(super) is_stale: bool,
}

impl Exchange {
    pub(super) async fn run(self, pool: &Pool, mut request: Request<Full<Bytes>>) -> Ended {
        let began = Instant::now();
        let connection = capture_connection(&mut request);
        let answered = timeout_at(self.deadline, pool.request(request)).await;
        let (sent_at, mut timings, is_reused) = connection_used(&connection, began);
        let mut is_stale = false;
        let failure = match answered {
            Ok(Ok(response)) => {
                timings.first_byte_ms = Some(millis(sent_at.elapsed()));
                return Ended { outcome: self.read(response, timings).await, is_stale };
            }
            Ok(Err(error)) => {
                timings = timings_of(&error).unwrap_or(timings);
                is_stale = is_reused && was_closed(&error) && sent_at.elapsed() <= STALE_WITHIN;
                without_answer(failure_of(&error))
            }
            Err(_) if connection.connection_metadata().is_some() => Failure::new(ErrorClass::Timeout),
            Err(_) => Failure::because(ErrorClass::Timeout, "no connection within the time limit"),
        };
        let outcome = AttemptOutcome { failure: Some(failure), timings, ..AttemptOutcome::default() };
        Ended { outcome, is_stale }
    }

    async fn read(self, response: Response<Incoming>, mut timings: Timings) -> AttemptOutcome {
        let head_at = Instant::now();
        let (head, body) = response.into_parts();
        let mut kept = BytesMut::new();
        let mut failure = match timeout_at(self.deadline, read_body(body, &mut kept)).await {
            Err(_) => Some(Failure::because(ErrorClass::Timeout, "the answer was not complete within the time limit")),
            Ok(failure) => failure,
        };
        if head.status.is_informational() {
            failure = Some(Failure::because(ErrorClass::InvalidResponse, "the protocol was switched, unasked"));
        }
        timings.body_ms = Some(millis(head_at.elapsed()));
        AttemptOutcome {
            status: Some(head.status.as_u16()),
            body: Some(text_of(&kept)),
            failure,
            retry_after: retry_after::read(&head.headers, self.now),
            timings,
            took: Duration::ZERO,
        }
    }
}

/// Too much of what is not even an answer's head, such as informational answers without end, is no
/// answer that was too long.
fn without_answer(failure: Failure) -> Failure {
    match failure.class {
        ErrorClass::ResponseTooLarge => {
            Failure::because(ErrorClass::InvalidResponse, "much was sent, and no answer was among it")
        }
        _ => failure,
    }
}

/// When the connection was ready for this request, what making it took if it was made for it, and
/// whether it had carried a request before.
fn connection_used(connection: &CaptureConnection, began: Instant) -> (Instant, Timings, bool) {
    let mut extras = Extensions::new();
    let connected = connection.connection_metadata();
    if let Some(connected) = &*connected {
        connected.get_extras(&mut extras);
    }
    let (Some(connected), Some(marks)) = (&*connected, extras.get::<Arc<Marks>>()) else {
        return (began, Timings::default(), false);
    };
    if marks.began.elapsed() > LONGEST_USE {
        connected.poison();
    }
    match marks.take() {
        // A connection may be made for one attempt and then serve another that waited as well.
        Some(timings) if marks.began >= began => (marks.ready, timings, false),
        Some(_) => (began, Timings::default(), false),
        None => (began, Timings::default(), true),
    }
}

/// Reads the body up to the cap and keeps its start. A body that is longer is not read to its end;
/// dropping it closes the connection.
async fn read_body(mut body: Incoming, kept: &mut BytesMut) -> Option<Failure> {
    let mut n_read = 0;
    if body.size_hint().lower() > READ_BYTES as u64 {
        return Some(Failure::new(ErrorClass::ResponseTooLarge));
    }
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Some(failure_of(&error)),
        };
        let Some(data) = frame.data_ref() else { continue };
        n_read += data.len();
        let room = KEPT_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if n_read > READ_BYTES {
            return Some(Failure::new(ErrorClass::ResponseTooLarge));
        }
    }
    None
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
