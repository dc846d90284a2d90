//! The pool of connections that requests go over.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::answer_head::HEAD_BYTES;
use crate::connector::Connector;

/// What is read of an answer's body; the rest is not waited for.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// How long an unused connection is kept for the next request to its host.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) type Pool = Client<Connector, Full<Bytes>>;

/// A pool that keeps so many unused connections per host.
pub(crate) fn pool(connector: Connector, idle_per_host: usize) -> Pool {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(idle_per_host)
        // Names in upper and lower case mean the same, but not to every server.
        .http1_title_case_headers(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        // A whole head, and what was read along with its end.
        .http1_max_buf_size(HEAD_BYTES + READ_BYTES)
        .build(connector)
}
