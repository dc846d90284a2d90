//! The one client for everything outgoing: deliveries, tests, anything.
//!
//! It follows no redirects, knows no proxies, asks for no compression, and gives every attempt one
//! deadline over connecting, TLS, headers and body.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use hookswitch_protocol::{DeliveryId, EventType, Timestamp};

use crate::directory::Webhook;
use crate::guard::{ConnectFailure, Guard, GuardedConnector, Target, guarded_connector};
use crate::outcome::{AttemptOutcome, ErrorClass, Failure};
use crate::sign;

/// What is read of an answer's body; the rest is not waited for.
const READ_BYTES: usize = 64 * 1024;

/// What is kept of it in the log, as text. A log row per attempt must stay small: at a thousand
/// attempts a second the whole 64 KiB would fill a disk within the hour.
const KEPT_BYTES: usize = 4 * 1024;

/// How long an unused connection is kept for the next delivery to its host.
const IDLE: Duration = Duration::from_secs(30);

/// The limits of `timeout`, in seconds, also for rows inserted by hand.
pub(crate) const TIMEOUT_SECS: std::ops::RangeInclusive<u32> = 1..=120;

/// One attempt to make.
#[derive(Debug)]
pub(crate) struct AttemptRequest<'a> {
    pub(crate) webhook: &'a Webhook,
    pub(crate) delivery: &'a DeliveryId,
    pub(crate) event_type: &'a EventType,
    pub(crate) attempt: u32,
    pub(crate) body: Bytes,
    pub(crate) now: Timestamp,
}

/// Sends attempts. Clones share one connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: Client<GuardedConnector, Full<Bytes>>,
}

impl Sender {
    /// A client with its own pool, keeping at most `per_host` unused connections to one host.
    pub(crate) fn new(guard: &Guard, per_host: usize) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(per_host)
            // The header names of the contract, as the prototype wrote them.
            .http1_title_case_headers(true)
            .http1_max_buf_size(READ_BYTES)
            .build(guarded_connector(guard));
        Self { client }
    }

    /// Makes one attempt. Cancel safe: dropped, the attempt is cut off and its connection closed.
    pub(crate) async fn send(&self, request: AttemptRequest<'_>) -> AttemptOutcome {
        let started = Instant::now();
        let limit = request.webhook.timeout_secs.clamp(*TIMEOUT_SECS.start(), *TIMEOUT_SECS.end());
        let deadline = started + Duration::from_secs(u64::from(limit));
        let mut outcome = match build(request) {
            Ok(request) => self.exchange(request, deadline).await,
            Err(class) => AttemptOutcome { failure: Some(Failure::new(class)), ..AttemptOutcome::default() },
        };
        outcome.took = started.elapsed();
        outcome
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, deadline: Instant) -> AttemptOutcome {
        let failed = |class| AttemptOutcome { failure: Some(Failure::new(class)), ..AttemptOutcome::default() };
        let response = match tokio::time::timeout_at(deadline, self.client.request(request)).await {
            Err(_) => return failed(ErrorClass::Timeout),
            Ok(Err(error)) => return failed(class_of(&error)),
            Ok(Ok(response)) => response,
        };
        let status = Some(response.status().as_u16());
        let mut kept = BytesMut::new();
        let read = tokio::time::timeout_at(deadline, read_body(response.into_body(), &mut kept)).await;
        let failure = match read {
            Err(_) => Some(ErrorClass::Timeout),
            Ok(failure) => failure,
        };
        AttemptOutcome {
            status,
            body: Some(text_of(&kept)),
            failure: failure.map(Failure::new),
            ..AttemptOutcome::default()
        }
    }
}

/// Reads the body up to the cap and keeps its start. A body that is longer is not read to its end;
/// dropping it closes the connection.
async fn read_body(mut body: Incoming, kept: &mut BytesMut) -> Option<ErrorClass> {
    let mut n_read = 0;
    if body.size_hint().lower() > READ_BYTES as u64 {
        return Some(ErrorClass::ResponseTooLarge);
    }
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Some(ErrorClass::ConnectionReset) };
        let Some(data) = frame.data_ref() else { continue };
        n_read += data.len();
        let room = KEPT_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if n_read > READ_BYTES {
            return Some(ErrorClass::ResponseTooLarge);
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

fn build(request: AttemptRequest<'_>) -> Result<Request<Full<Bytes>>, ErrorClass> {
    let target = Target::parse(&request.webhook.url).map_err(|_| ErrorClass::InvalidUrl)?;
    let headers = headers(&request)?;
    let mut built = Request::new(Full::new(request.body));
    *built.method_mut() = Method::POST;
    *built.uri_mut() = target.uri;
    *built.headers_mut() = headers;
    Ok(built)
}

const EVENT: HeaderName = HeaderName::from_static("x-webhook-event");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("x-webhook-id");
const ATTEMPT: HeaderName = HeaderName::from_static("x-webhook-attempt");
const SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
const STANDARD_ID: HeaderName = HeaderName::from_static("webhook-id");
const STANDARD_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const STANDARD_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

fn headers(request: &AttemptRequest<'_>) -> Result<HeaderMap, ErrorClass> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| ErrorClass::InvalidUrl);
    let mut headers = HeaderMap::with_capacity(10);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("CallCenter-Webhook/1.0"));
    headers.insert(EVENT, value(request.event_type.as_str())?);
    headers.insert(WEBHOOK_ID, HeaderValue::from(request.webhook.id.0));
    headers.insert(ATTEMPT, HeaderValue::from(request.attempt));
    headers.insert(STANDARD_ID, value(request.delivery.as_str())?);
    headers.insert(STANDARD_TIMESTAMP, HeaderValue::from(request.now.as_secs()));
    if let Some(secret) = request.webhook.secret.as_ref().filter(|secret| !secret.reveal().is_empty()) {
        headers.insert(SIGNATURE, value(&sign::signature(&request.body, secret))?);
        let standard = sign::standard_signature(request.delivery.as_str(), request.now, &request.body, secret);
        headers.insert(STANDARD_SIGNATURE, value(&standard)?);
    }
    Ok(headers)
}

/// The class of a failed exchange. The connector has classified its own failures; the rest broke on
/// a connection that stood.
fn class_of(error: &hyper_util::client::legacy::Error) -> ErrorClass {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(ConnectFailure(class)) = error.downcast_ref() {
            return *class;
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return ErrorClass::InvalidResponse;
        }
        next = error.source();
    }
    ErrorClass::ConnectionReset
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
