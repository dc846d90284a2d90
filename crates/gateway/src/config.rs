//! The gateway's settings.

use std::num::NonZeroU32;
use std::time::Duration;

use hookswitch_protocol::{TenantId, limits};

use crate::origin::AllowedOrigins;

/// Settings of a gateway, each with its default.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Pages that may open `/ws` and call REST from a browser; by default those of the same host and
    /// port.
    pub origins: AllowedOrigins,
    /// Pages that may open `/ws/public/…`; by default all.
    pub public_origins: AllowedOrigins,
    /// Largest single read from a WebSocket, in bytes; 1,024 by default, 256 to 65,536. The buffer is
    /// lent while a message comes in, not owned. Smaller costs more calls per large message.
    pub read_buffer_bytes: usize,
    /// Messages to WebSocket clients that offer permessage-deflate are compressed from so many bytes on; 1,024 by
    /// default. `None` declines all offers.
    pub compression_from: Option<usize>,
    /// Largest publishing body, in bytes; 1 MiB by default. Beyond it 413.
    pub publish_body_bytes: usize,
    /// Largest body of any other request, in bytes; 64 KiB by default. Beyond it 413.
    pub body_bytes: usize,
    /// The bodies of all requests together until they are answered, in bytes, as they announce themselves; 128 MiB by
    /// default. One tenant has half of it by itself, and less while others need theirs. Beyond it they wait for 2 s,
    /// unread, then 503.
    pub all_bodies_bytes: usize,
    /// How long a request's body may take to arrive; 30 s by default. Beyond it 408.
    pub body_deadline: Duration,
    /// How long a request's head may take to arrive, from its first byte on; 30 s by default. Beyond it 408.
    pub header_deadline: Duration,
    /// Largest request head, in bytes; 32 KiB by default, at least 8 KiB, and at most 256 lines. Beyond it 431.
    pub header_bytes: usize,
    /// How long a connection may be idle between two requests; 75 s by default, which is longer than the balancers in
    /// front keep theirs, so that it is they who close. Said in answers by `Keep-Alive`, and kept for a second
    /// longer than that, so that a request sent at the last moment is answered.
    pub idle_timeout: Duration,
    /// How long the client may take no byte of an answer; 30 s by default. Beyond it the connection is cut.
    pub write_deadline: Duration,
    /// How long an accepted upgrade may take until its socket is handed over; 10 s by default. Beyond
    /// it the connection is dropped.
    pub upgrade_deadline: Duration,
    /// How long a closed WebSocket waits for the client's own close; 3 s by default.
    pub linger: Duration,
    /// How long the client of an event stream may leave what was sent to it unacknowledged; 60 s by default, as long
    /// as [`HubConfig::pong_timeout`](hookswitch_hub::HubConfig::pong_timeout). Beyond it the connection is dropped.
    pub peer_timeout: Duration,
    /// Most connections at once, upgraded ones included; 200,000 by default. Beyond it new ones are told
    /// 503 and closed. The limit on open files must be higher, or accepting pauses instead.
    pub max_connections: usize,
    /// Most requests per second and tenant on this node, for publishing, for what agents read and for all else
    /// each; one agent reads a quarter of it at most. `None`, the default, is no limit. A second's worth may
    /// come at once; beyond it 429. The body of a request does not count: a batch of events is one.
    pub tenant_rate_limit: Option<NonZeroU32>,
    /// The tenant whose admins and services may ask for what concerns the whole node, such as a drain; `None`, the
    /// default, is nobody.
    pub admin_tenant: Option<TenantId>,
    /// Whether the console is served, at `/` and `/console`; not by default. Its pages are open to anybody and show what the
    /// token of whoever looks may see.
    pub console: bool,
    /// How long a readiness probe may take; 2 s by default. Beyond it the node is not ready.
    pub probe_deadline: Duration,
    /// How long the answers of the readiness probes count; 500 ms by default. The page is open to
    /// anybody, so that without it anybody could keep the store busy.
    pub probe_interval: Duration,
}

/// The settings of [`GatewayConfig::origins`] and [`GatewayConfig::public_origins`] where the environment gives them.
pub(crate) const ORIGINS_SETTING: &str = "WS_ALLOWED_ORIGINS";
pub(crate) const PUBLIC_ORIGINS_SETTING: &str = "WS_PUBLIC_ALLOWED_ORIGINS";

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            origins: AllowedOrigins::SameHost,
            public_origins: AllowedOrigins::Any,
            read_buffer_bytes: 1_024,
            compression_from: Some(1_024),
            publish_body_bytes: limits::PUBLISH_BODY_BYTES,
            body_bytes: 64 * 1024,
            all_bodies_bytes: 128 << 20,
            body_deadline: Duration::from_secs(30),
            header_deadline: Duration::from_secs(30),
            header_bytes: 32 * 1024,
            idle_timeout: Duration::from_secs(75),
            write_deadline: Duration::from_secs(30),
            upgrade_deadline: Duration::from_secs(10),
            linger: Duration::from_secs(3),
            peer_timeout: Duration::from_mins(1),
            max_connections: 200_000,
            tenant_rate_limit: None,
            admin_tenant: None,
            console: false,
            probe_deadline: Duration::from_secs(2),
            probe_interval: Duration::from_millis(500),
        }
    }
}
