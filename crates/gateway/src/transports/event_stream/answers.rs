//! The head of an event stream, and the answers in its place.

use bytes::Bytes;
use hookswitch_protocol::ErrorCode;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};

use super::Stream;
use super::wire_form::{EventStreamForm, retry_line};
use crate::http::{Body, Problem};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
/// Has nginx and its like pass on each event as it comes.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// At a limit others must go first, so that it is so many times longer until it is worth to come back.
const FULL_FACTOR: u32 = 10;

/// Whether an `EventSource` comes back by itself. What it says it has seen last is the header's value.
pub(crate) fn is_return(headers: &HeaderMap) -> bool {
    headers.contains_key(LAST_EVENT_ID)
}

/// The head of a stream in this form; the server that sends it gives the socket to `stream`.
pub(crate) fn opened(form: &EventStreamForm, stream: Stream) -> Response<Body> {
    let mut response = answer(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if form.is_chunked() {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    response.extensions_mut().insert(stream);
    response
}

/// What a stream's request is answered that is refused. An `EventSource` never comes back after an error of the
/// server, so that whoever may come back is told when, in a stream that ends at once; and who may not by 204,
/// where it has been here before.
///
/// # Errors
/// The problem itself, where that is a client's own doing.
pub(crate) fn refused(problem: Problem, is_return: bool) -> Result<Response<Body>, Problem> {
    let is_over = problem.code == ErrorCode::TokenExpired || (problem.code == ErrorCode::UnknownSession && is_return);
    if is_over {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    let may_return = problem.status().is_server_error() && problem.code != ErrorCode::Internal;
    if !may_return {
        return Err(problem);
    }
    let own = EventStreamForm::of(Version::HTTP_11).retry();
    let after = if problem.code == ErrorCode::TooManyConnections { own * FULL_FACTOR } else { own };
    let text =
        format!(": {}: {}\n{}", problem.code.as_str(), problem.message.replace(['\r', '\n'], " "), retry_line(after));
    Ok(answer(Body::from(Bytes::from(text))))
}

fn answer(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}
