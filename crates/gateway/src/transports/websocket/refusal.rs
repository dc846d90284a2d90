//! A refused handshake as browsers can read it: taken, and closed at once with a code and words that say why. Of an answer
//! that is no upgrade they show nothing.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, ErrorCode};
use hookswitch_runtime::Scope;
use hyper::upgrade::OnUpgrade;
use tokio::io::AsyncWriteExt as _;

use super::handover::take_socket;
use super::wire_form::close_frame;
use crate::http::Problem;
use crate::metrics::HeldConnection;
use crate::server::linger;

/// A connection that is closed as soon as it is taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) frame: Bytes,
    /// Counts as the HTTP connection that it was.
    pub(crate) counted: HeldConnection,
    /// How long the 101 may take to go out.
    pub(crate) deadline: Duration,
    /// How long the client has to take the close.
    pub(crate) linger: Duration,
}

/// The close that says the same as this refusal; nothing where the client has to be told by HTTP.
pub(crate) fn close_of(problem: &Problem) -> Option<Bytes> {
    let code = close_code(problem.code)?;
    Some(close_frame(code.number(), &format!("{}: {}", problem.code.as_str(), problem.message)))
}

const fn close_code(code: ErrorCode) -> Option<CloseCode> {
    match code {
        ErrorCode::Unauthorized | ErrorCode::TokenExpired => Some(CloseCode::TokenExpired),
        ErrorCode::Forbidden | ErrorCode::OriginRefused => Some(CloseCode::NotAllowed),
        ErrorCode::UnknownSession => Some(CloseCode::NoSession),
        ErrorCode::InvalidField | ErrorCode::TooManyNames => Some(CloseCode::BadRequest),
        ErrorCode::Draining
        | ErrorCode::Overloaded
        | ErrorCode::StorageUnavailable
        | ErrorCode::RateLimited
        | ErrorCode::TooManyConnections => Some(CloseCode::TryLater),
        _ => None,
    }
}

impl Refusal {
    /// Waits for the socket, closes it, and reads on until the client has done the same: with something unread its
    /// system would be told of a reset, and the client nothing.
    pub(crate) async fn tell(self, upgrade: OnUpgrade, scope: Scope) {
        let Ok(Ok(upgraded)) = tokio::time::timeout(self.deadline, upgrade).await else {
            return tracing::debug!("a client that was to be refused left before");
        };
        let Some((mut stream, _)) = take_socket(upgraded) else { return };
        let farewell = async {
            if stream.write_all(&self.frame).await.is_ok() {
                linger(stream).await;
            }
        };
        tokio::select! {
            () = scope.soft().cancelled() => {}
            _ = tokio::time::timeout(self.linger, farewell) => {}
        }
        drop(self.counted);
    }
}
