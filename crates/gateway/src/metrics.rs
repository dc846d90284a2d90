//! What the gateway counts, under its outward names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_runtime::metrics::{Registry, register_gauge};
use http::StatusCode;

use hookswitch_hub::ConnectionCap;

use crate::auth::AuthError;

/// Classes of status, from 1xx on.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Why connections are ended without an answer of a handler.
pub(crate) const CUTS: [&str; 5] = ["head_too_large", "no_http", "head_too_slow", "idle", "answer_not_read"];

hookswitch_runtime::counters! {
    /// What a gateway counts from its start on.
    pub struct GatewayMetrics {
        refused_origins: "WebSockets and event streams refused for their origin",
        rate_limited: "Requests refused, the tenant's rate limit being reached",
        bodies_refused: "Requests refused because too many bytes of bodies were under way",
        panics: "Requests answered 500 after a panic",
        accept_errors: "Failures to accept a connection",
        refused_connections: "Connections refused, the limit being reached",
        commands_slowed: "Times a WebSocket's commands had to wait, too many or too large ones having come",
        typing_superseded: "Typing indicators left out for a later one of the same connection",
        event_streams: "Event streams begun",
        relocations: "Moves of publishing connections to the thread of those they publish to, or away from it",
    }
    by {
        answers as "http_answers" "class" (CLASSES): "HTTP answers by class of status",
cut_connections as "http_connections_cut" "reason" (CUTS): "HTTP connections ended by the server, by reason",
        refused_upgrades "limit" (ConnectionCap::ALL.map(ConnectionCap::as_str)): "WebSockets and event streams refused, the limit being reached",
        refused_tokens "reason" (AuthError::REASONS): "Tokens refused, by reason",
    }
}

impl GatewayMetrics {
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.answers.inc(CLASSES[class]);
    }
}

/// How many HTTP connections there are now, which also decides whether another one is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpConnections(Arc<AtomicU64>);

impl HttpConnections {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one until the guard is dropped.
    pub(crate) fn hold(&self) -> HeldConnection {
        self.0.fetch_add(1, Ordering::Relaxed);
        HeldConnection(Arc::clone(&self.0))
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let connections = self.clone();
        register_gauge(registry, "http_connections", "HTTP connections open now", move || connections.get());
    }
}

/// One HTTP connection in the count, until it ends, or becomes a WebSocket or an event stream.
#[derive(Debug)]
pub(crate) struct HeldConnection(Arc<AtomicU64>);

impl Drop for HeldConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
