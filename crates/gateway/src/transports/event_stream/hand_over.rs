//! From the answer to a request for a stream to a connection of the hub: the head is written, and the socket goes
//! from the HTTP server to its shard.

use std::fmt::{self, Write as _};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookswitch_hub::{ConnectionHandle, PendingConnection, Transport};
use hookswitch_protocol::Timestamp;
use http::Response;
use http::header::TRANSFER_ENCODING;
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::reader::Reader;
use super::wire_form::EventStreamForm;
use crate::http::Body;
use crate::transports::tcp::{Socket, SocketContext};

/// What a stream needs besides the socket.
#[derive(Debug)]
pub(crate) struct HandOver {
    /// The connection's place in the hub's tables; dropping it gives the place up.
    pub(crate) pending: PendingConnection,
    pub(crate) form: &'static EventStreamForm,
    pub(crate) context: Arc<SocketContext>,
    /// How long the head may take to go out.
    pub(crate) deadline: Duration,
}

/// A stream that comes after an answer's head; goes with that answer, as an extension of it, to whoever has the
/// socket.
#[derive(Debug, Clone)]
pub(crate) struct Stream(Arc<Mutex<Option<HandOver>>>);

/// A stream with the bytes of its head.
#[derive(Debug)]
pub(crate) struct Upcoming {
    head: Vec<u8>,
    to: HandOver,
}

impl Stream {
    pub(crate) fn new(to: HandOver) -> Self {
        Self(Arc::new(Mutex::new(Some(to))))
    }
}

impl Upcoming {
    /// The stream that follows this answer, if one does.
    pub(crate) fn of(response: &mut Response<Body>) -> Option<Self> {
        let Stream(stream) = response.extensions_mut().remove()?;
        let to = stream.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let mut head = head(response, to.context.clock.now());
        head.extend_from_slice(&to.form.greeting());
        Some(Self { head, to })
    }

    /// Sends the head and opens the pending connection with the socket. Whatever fails on the way, that is dropped
    /// and the connection leaves the tables.
    pub(crate) async fn begin(self, mut stream: TcpStream) {
        let Self { head, to } = self;
        match tokio::time::timeout(to.deadline, stream.write_all(&head)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return tracing::debug!(%error, "the client left before its event stream began"),
            Err(_) => return tracing::debug!("the client did not take an event stream's head in time"),
        }
        // A client that answers nothing and is gone without a word is noticed by what it does not acknowledge.
        let watched = SockRef::from(&stream).set_tcp_user_timeout(Some(to.context.peer_timeout));
        match watched.and_then(|()| stream.into_std()) {
            Ok(stream) => {
                let context = to.context;
                context.metrics.event_streams.inc();
                to.pending.open(|handle| open(stream, context, handle)).await;
            }
            Err(error) => tracing::debug!(%error, "the socket died before its event stream began"),
        }
    }
}

/// Registers the socket with the shard's runtime and starts the task that hears of its end.
fn open(
    stream: std::net::TcpStream,
    context: Arc<SocketContext>,
    handle: ConnectionHandle,
) -> io::Result<Rc<dyn Transport>> {
    let socket = Rc::new(Socket::register(stream, context)?);
    tokio::task::spawn_local(Reader::new(Rc::clone(&socket), handle));
    Ok(socket)
}

/// The answer's head, as the HTTP library would write it.
fn head(response: &Response<Body>, now: Timestamp) -> Vec<u8> {
    let version = if response.headers().contains_key(TRANSFER_ENCODING) { "HTTP/1.1" } else { "HTTP/1.0" };
    let mut head = format!("{version} {}\r\ndate: {}\r\n", response.status(), HttpDate(now)).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// A moment as headers write it (RFC 9110, section 5.6.7).
struct HttpDate(Timestamp);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        // 2025-10-25T12:00:00.123Z
        let mut text = String::with_capacity(24);
        write!(text, "{}", self.0)?;
        let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok()).unwrap_or(1);
        let day_of_week = self.0.as_secs().div_euclid(24 * 60 * 60).rem_euclid(7) as usize;
        let (year, day, time) = (&text[..4], &text[8..10], &text[11..19]);
        write!(f, "{}, {day} {} {year} {time} GMT", DAYS[day_of_week], MONTHS[month - 1])
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_head_is_http() {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store"));
        let now = Timestamp::parse("1994-11-06T08:49:37Z").expect("legal");
        assert_eq!(
            String::from_utf8(head(&response, now)).expect("text"),
            "HTTP/1.0 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncache-control: no-store\r\n\r\n"
        );
        response.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        assert!(head(&response, now).starts_with(b"HTTP/1.1 200 OK\r\n"));
        let date = |text| HttpDate(Timestamp::parse(text).expect("legal")).to_string();
        assert_eq!(date("1970-01-01T00:00:00Z"), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date("2026-11-30T22:19:09Z"), "Mon, 30 Nov 2026 22:19:09 GMT");
    }
}
