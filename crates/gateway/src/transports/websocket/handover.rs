//! After the 101: taking the socket from the HTTP server and giving it to its shard.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::PendingConnection;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::command_handler::CommandHandler;
use super::transport::AcceptedSocket;
use crate::server::HttpStream;
use crate::transports::tcp::SocketContext;

/// What the hand-over needs besides the socket.
#[derive(Debug)]
pub(crate) struct HandOver {
    /// The connection's place in the hub's tables; dropping it gives the place up.
    pub(crate) pending: PendingConnection,
    pub(crate) commands: CommandHandler,
    pub(crate) context: Arc<SocketContext>,
    /// Whether the client may compress its messages.
    pub(crate) compresses: bool,
    /// How long the 101 may take to go out.
    pub(crate) deadline: Duration,
}

/// Waits for the socket and opens the pending connection with it. Whatever fails on the way, that is dropped
/// and the connection leaves the tables.
pub(crate) async fn hand_over(upgrade: OnUpgrade, to: HandOver) {
    let upgraded = match tokio::time::timeout(to.deadline, upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return tracing::debug!(%error, "the client left during the handshake"),
        Err(_) => return tracing::debug!("the client did not take the handshake's answer in time"),
    };
    let Some((stream, leftover)) = take_socket(upgraded) else {
        return tracing::error!("the WebSocket does not lie on plain TCP: serve it with tokio's TcpStream");
    };
    match stream.set_nodelay(true).and_then(|()| stream.into_std()) {
        Ok(stream) => {
            let HandOver { pending, commands, context, compresses, .. } = to;
            let accepted = AcceptedSocket { stream, leftover, commands, context, compresses };
            pending.open(|handle| accepted.open(handle)).await;
        }
        Err(error) => tracing::debug!(%error, "the socket died during the handshake"),
    }
}

/// The TCP socket under an upgraded connection, be it served by our own server, by hyper itself or by
/// hyper-util's `auto` server, and what the client sent together with its request. That is copied: even empty it
/// would keep the server's read buffer of 8 KiB alive.
pub(super) fn take_socket(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    let (stream, leftover) = match upgraded.downcast::<TokioIo<HttpStream>>() {
        Ok(parts) => (parts.io.into_inner().into_stream()?, parts.read_buf),
        Err(upgraded) => take_foreign_socket(upgraded)?,
    };
    Some((stream, Bytes::copy_from_slice(&leftover)))
}

/// The same under a connection of the embedder's server.
fn take_foreign_socket(upgraded: Upgraded) -> Option<(TcpStream, Bytes)> {
    let (io, leftover) = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => (parts.io, parts.read_buf),
        Err(upgraded) => {
            let parts = hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded).ok()?;
            (parts.io, parts.read_buf)
        }
    };
    Some((io.into_inner(), leftover))
}
