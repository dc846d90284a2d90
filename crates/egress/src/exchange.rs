//! One request and its answer, up to the deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{Extensions, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use tokio::time::{Instant, timeout_at};

use crate::classify::{failure_of, timings_of, was_closed};
use crate::connect_progress::ConnectProgress;
use crate::failure::{ErrorClass, Failure};
use crate::pool::{Pool, READ_BYTES};
use crate::stream::ConnectionInfo;
use crate::timings::{Timings, millis};

/// A kept connection that breaks later than this after the request was sent did not break because
/// the receiver had closed it before; then sending again would burden it twice.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// How one exchange of a request and its answer ended.
///
/// The head decides: once it is there, whatever goes wrong while the body is read (too long, cut off, too
/// slow) is noted in `failure` and changes nothing else.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The answer's status and headers, when there was one. Of more than 100 header lines only the first 50 are
    /// here, and `Retry-After`.
    pub head: Option<Parts>,
    /// The start of the answer's body, as much as [`ClientConfig`](crate::ClientConfig) says.
    pub body: Bytes,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// The phases it went through.
    pub timings: Timings,
}

/// What all tries of one request share.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) requester: &'a Arc<str>,
    pub(crate) deadline: Instant,
    pub(crate) kept_body_bytes: usize,
}

/// How a try ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exchange: Exchange,
    /// Without an answer, because a connection that was used before had been closed in the meantime.
    pub(crate) is_stale: bool,
}

impl Run<'_> {
    /// One try, over a connection of this pool.
    pub(crate) async fn exchange(&self, pool: &Pool, mut request: Request<Full<Bytes>>) -> Ended {
        let began = Instant::now();
        let connection = capture_connection(&mut request);
        let progress = ConnectProgress::new(self.requester);
        let answered = timeout_at(self.deadline, Arc::clone(&progress).during(pool.request(request))).await;
        let (sent_at, mut timings, is_reused) = connection_used(&connection, began);
        let mut is_stale = false;
        let failure = match answered {
            Ok(Ok(response)) => {
                timings.first_byte_ms = Some(millis(sent_at.elapsed()));
                return Ended { exchange: self.read(response, timings).await, is_stale };
            }
            Ok(Err(error)) => {
                timings = timings_of(&error).unwrap_or(timings);
                is_stale = is_reused && was_closed(&error) && sent_at.elapsed() <= STALE_WITHIN;
                without_answer(failure_of(&error))
            }
            Err(_) if connection.connection_metadata().is_some() => Failure::new(ErrorClass::Timeout),
            Err(_) => progress.if_late(),
        };
        Ended { exchange: Exchange { failure: Some(failure), timings, ..Exchange::default() }, is_stale }
    }

    async fn read(&self, response: Response<Incoming>, mut timings: Timings) -> Exchange {
        let head_at = Instant::now();
        let (mut head, body) = response.into_parts();
        // What is left of an upgrade that nobody asked for would keep the connection open.
        head.extensions.clear();
        let mut kept = BytesMut::new();
        let mut failure = match timeout_at(self.deadline, read_body(body, self.kept_body_bytes, &mut kept)).await {
            Err(_) => Some(Failure::because(ErrorClass::Timeout, "the answer was not complete within the time limit")),
            Ok(failure) => failure,
        };
        if head.status.is_informational() {
            failure = Some(Failure::because(ErrorClass::InvalidResponse, "the protocol was switched, unasked"));
        }
        timings.body_ms = Some(millis(head_at.elapsed()));
        Exchange { head: Some(head), body: kept.freeze(), failure, timings }
    }
}

/// Too much of what is not even an answer's head, such as informational answers without end, is no
/// answer that was too long.
fn without_answer(failure: Failure) -> Failure {
    match failure.class() {
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
    let (Some(connected), Some(info)) = (&*connected, extras.get::<Arc<ConnectionInfo>>()) else {
        return (began, Timings::default(), false);
    };
    if !info.may_be_kept() {
        connected.poison();
    }
    match info.take() {
        // A connection may be made for one request and then serve another that waited as well.
        Some(timings) if info.began >= began => (info.ready, timings, false),
        Some(_) => (began, Timings::default(), false),
        None => (began, Timings::default(), true),
    }
}

/// Reads the body up to [`READ_BYTES`] and keeps its start. A body that is longer is not read to its end;
/// dropping it closes the connection.
async fn read_body(mut body: Incoming, most_kept: usize, kept: &mut BytesMut) -> Option<Failure> {
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
        let room = most_kept - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if n_read > READ_BYTES {
            return Some(Failure::new(ErrorClass::ResponseTooLarge));
        }
    }
    None
}
