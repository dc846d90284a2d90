//! Answers to what the HTTP library refuses by itself: with a body that says what is wrong.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hookswitch_protocol::ErrorCode;
use http::StatusCode;

use super::connection_state::Cut;
use crate::gateway::Gateway;
use crate::http::Problem;

/// Most header lines of a request.
pub(super) const MAX_HEADER_LINES: usize = 256;

/// Makes the whole answer for a status; shared by the connections of a server.
#[derive(Clone)]
pub(super) struct Refusals(Arc<dyn Fn(StatusCode) -> Bytes + Send + Sync>);

impl Refusals {
    pub(super) fn of(gateway: &Gateway) -> Self {
        let gateway = gateway.clone();
        Self(Arc::new(move |status| {
            gateway.0.metrics.answered(status);
            let problem = problem(status, gateway.0.config.header_bytes);
            whole_answer(status, &gateway.unread(&problem))
        }))
    }

    pub(super) fn answer(&self, status: StatusCode) -> Bytes {
        (self.0)(status)
    }

    /// The status of an answer that the library made by itself: ours all have a body.
    pub(super) fn status_of(answer: &[u8]) -> Option<StatusCode> {
        let rest = answer.strip_prefix(b"HTTP/1.1 ")?;
        let status = StatusCode::from_bytes(rest.get(..3)?).ok().filter(StatusCode::is_client_error)?;
        let is_bare = answer.ends_with(b"\r\n\r\n") && answer.windows(19).any(|at| at == b"content-length: 0\r\n");
        is_bare.then_some(status)
    }
}

/// Why the connection ends with this answer.
pub(super) fn cut_of(status: StatusCode) -> Cut {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG => Cut::HeadTooLarge,
        StatusCode::REQUEST_TIMEOUT => Cut::HeadTooSlow,
        _ => Cut::NoHttp,
    }
}

fn problem(status: StatusCode, header_bytes: usize) -> Problem {
    match cut_of(status) {
        Cut::HeadTooLarge => Problem::new(
            ErrorCode::InvalidRequest,
            format!(
                "the request's head is larger than {header_bytes} bytes or has more than {MAX_HEADER_LINES} lines: \
                 send fewer or smaller headers, such as cookies"
            ),
        ),
        Cut::HeadTooSlow => Problem::new(ErrorCode::RequestTimeout, "the request's head took too long to arrive"),
        _ => Problem::new(ErrorCode::InvalidRequest, "this is no HTTP/1.1 request; TLS and HTTP/2 are not spoken here"),
    }
}

fn whole_answer(status: StatusCode, json: &[u8]) -> Bytes {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        json.len()
    );
    [head.as_bytes(), json].concat().into()
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refusals").finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Refusals {
    pub(super) fn for_tests() -> Self {
        Self(Arc::new(|status| whole_answer(status, b"{}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_refusals_are_taken_for_the_librarys_own() {
        let status = |text: &[u8]| Refusals::status_of(text).map(|status| status.as_u16());
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(status(bare), Some(431));
        for other in [
            &b"HTTP/1.1 404 Not Found\r\ncontent-length: 20\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\nx",
            b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 4",
            b"content-length: 0\r\n\r\n",
        ] {
            assert_eq!(status(other), None);
        }
    }
}
