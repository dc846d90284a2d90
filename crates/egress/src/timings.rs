//! Where a request spent its time.

use std::time::Duration;

/// The phases of one request, in whole milliseconds, rounded down. A phase that did not take place,
/// or did not end, is `None`; so a request over a connection that was already open has neither
/// `dns_ms`, `connect_ms` nor `tls_ms`. Where one breaks in its middle, the phases before tell
/// how far it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resolving the host name; `None` also for a URL that holds an address.
    pub dns_ms: Option<u32>,
    /// Making the TCP connection, through the proxy where one is configured.
    pub connect_ms: Option<u32>,
    /// The TLS handshake.
    pub tls_ms: Option<u32>,
    /// From the moment the connection was there to the end of the answer's head: sending, the
    /// receiver's own work, and one way back.
    pub first_byte_ms: Option<u32>,
    /// From there to the end of the answer's body, or to the point where we stopped reading.
    pub body_ms: Option<u32>,
}

/// A duration as a timing.
pub(crate) fn millis(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX)
}
