//! A server of our own around the gateway: listening, accepting, serving, draining.

mod connection;
mod connection_state;
mod http_stream;
mod linger;
mod patience;
mod refusals;
mod thread_placement;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_runtime::Scope;
use hyper::server::conn::http1;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::Gateway;
use connection::ConnectionServer;
use refusals::MAX_HEADER_LINES;

pub(crate) use http_stream::HttpStream;
pub(crate) use linger::linger;
pub(crate) use thread_placement::ThreadPlacement;

/// Connections the kernel keeps until they are accepted; a deploy brings thousands at once.
const BACKLOG: i32 = 4_096;
/// How long accepting pauses when the process or the machine has no room for another socket.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);
/// The least that hyper allows its buffers to grow to.
const MIN_BUFFER_BYTES: usize = 8 * 1024;

/// Most connections beyond the limit that are read from for a moment after they were told so; the next are just
/// closed.
const LINGERING_REFUSALS: u64 = 256;
const REFUSAL_LINGER: Duration = Duration::from_secs(1);

/// Told to connections beyond the limit, before a byte of theirs is read.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n\
Connection: close\r\nContent-Length: 104\r\n\r\n\
{\"success\":false,\"error\":{\"code\":\"overloaded\",\"message\":\"this node has as many connections as allowed\"}}";

/// Opens a listening socket with a backlog that survives a reconnect storm.
///
/// # Errors
/// What the system says, such as an address in use.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl Gateway {
    /// Accepts and serves connections until the scope's soft token; then nothing new is accepted and
    /// every connection ends after the request it is at. Connections are tasks of `scope`.
    pub async fn serve(&self, listener: TcpListener, scope: &Scope) {
        let server = Arc::new(ConnectionServer::new(self, self.http_server()));
        loop {
            let accepted = tokio::select! {
                () = scope.soft().cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.serve_one(stream, peer, &server, scope),
                Err(error) => self.on_accept_error(&error, scope).await,
            }
        }
    }

    fn http_server(&self) -> http1::Builder {
        let config = &self.0.config;
        let mut server = http1::Builder::new();
        // Not `pipeline_flush`: with it, a 101 is never sent when the client's first frame came along.
        server
            // The stream under it has deadlines of its own, that for an idle connection another one than that for a head.
            .header_read_timeout(None)
            .max_headers(MAX_HEADER_LINES)
            // A client may end its side as soon as it has asked, and still gets its answer.
            .half_close(true)
            .max_header_size(config.header_bytes)
            .max_buf_size(config.header_bytes.max(MIN_BUFFER_BYTES));
        server
    }

    fn serve_one(&self, stream: TcpStream, peer: SocketAddr, server: &Arc<ConnectionServer>, scope: &Scope) {
        let inner = &self.0;
        let n_open = inner.http_connections.get() + inner.hub().n_connections() as u64;
        if n_open >= inner.config.max_connections as u64 {
            inner.metrics.refused_connections.inc();
            // A fresh socket takes a few hundred bytes at once; if not, closing says enough.
            let _told = stream.try_write(TOO_MANY);
            // Closed with its request unread, it would be reset, and the answer lost.
            if inner.refused_connections.get() < LINGERING_REFUSALS {
                let held = inner.refused_connections.hold();
                let ended = scope.soft().clone();
                scope.spawn_contained("refused connection", async move {
                    let _held = held;
                    tokio::select! {
                        () = ended.cancelled() => {}
                        _ = tokio::time::timeout(REFUSAL_LINGER, linger(stream)) => {}
                    }
                });
            }
            return;
        }
        if stream.set_nodelay(true).is_err() {
            return;
        }
        connection::serve(self, server, stream, peer, scope);
    }

    /// Out of sockets or memory: pause, so that the loop does not spin on a connection it cannot take.
    /// Anything else concerned that one connection only.
    async fn on_accept_error(&self, error: &io::Error, scope: &Scope) {
        self.0.metrics.accept_errors.inc();
        if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted) {
            return;
        }
        tracing::error!(%error, "no connection can be accepted for now: raise the limit on open files?");
        tokio::select! {
            () = scope.soft().cancelled() => {}
            () = tokio::time::sleep(EXHAUSTED_PAUSE) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_made_refusal_is_well_formed() {
        let text = std::str::from_utf8(TOO_MANY).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
