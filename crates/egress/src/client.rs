//! The client: a pool of connections, and one request at a time over one of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::Instant;

use crate::address_guard::AddressGuard;
use crate::connector::Connector;
use crate::exchange::{Exchange, Run};
use crate::open_connections::OpenConnections;
use crate::pool::{Pool, READ_BYTES, pool};

/// What a [`Client`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientConfig {
    /// Unused connections kept per host; 512 by default. A connection that is closed for want of room
    /// costs the next request a handshake.
    pub idle_per_host: usize,
    /// Open connections, in use or not, up to which one is kept after its request; 4,096 by default. One requester
    /// may have as many of them as are left for all others.
    pub kept_connections: usize,
    /// Bytes kept of an answer's body; 64 KiB by default, which is also the most that is read.
    pub kept_body_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { idle_per_host: 512, kept_connections: 4_096, kept_body_bytes: READ_BYTES }
    }
}

/// Sends requests. Clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Client {
    pooled: Pool,
    /// Keeps no connection, so what it sends goes over a new one.
    fresh: Pool,
    kept_body_bytes: usize,
    requester: Arc<str>,
}

impl Client {
    /// A client with a pool of its own, which goes where `guard` lets it.
    pub fn new(guard: &AddressGuard, config: ClientConfig) -> Self {
        let connector = Connector::new(guard, OpenConnections::new(config.kept_connections));
        Self {
            pooled: pool(connector.clone(), config.idle_per_host),
            fresh: pool(connector, 0),
            kept_body_bytes: config.kept_body_bytes,
            requester: Arc::from(""),
        }
    }

    /// The same client, for requests on behalf of one of many, such as a tenant: what they share, as look-ups of
    /// names, they share fairly.
    #[must_use]
    pub fn on_behalf_of(&self, requester: &str) -> Self {
        Self { requester: Arc::from(requester), ..self.clone() }
    }

    /// Sends a request and reads its answer, all within `timeout`. A request that meets a kept connection
    /// which the server had closed in the meantime goes out once more, over a new one.
    ///
    /// Cancel safe: dropped, the request is cut off and its connection closed.
    pub async fn send(&self, request: Request<Bytes>, timeout: Duration) -> Exchange {
        let deadline = Instant::now() + timeout;
        let run = Run { requester: &self.requester, deadline, kept_body_bytes: self.kept_body_bytes };
        let request = request.map(Full::new);
        let ended = run.exchange(&self.pooled, request.clone()).await;
        // Closed before we sent is nobody's failure.
        if ended.is_stale { run.exchange(&self.fresh, request).await.exchange } else { ended.exchange }
    }
}
