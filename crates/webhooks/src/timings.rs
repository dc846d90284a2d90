//! How the time of an attempt was spent.

/// Milliseconds per phase; `None` where a phase did not take place or was not reached. An attempt over
/// a connection that stood already has no look-up, no connecting and no TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resolving the host name.
    pub dns_ms: Option<u32>,
    /// Connecting.
    pub connect_ms: Option<u32>,
    /// The TLS handshake.
    pub tls_ms: Option<u32>,
    /// From the request to the head of the answer.
    pub first_byte_ms: Option<u32>,
    /// Reading the answer's body.
    pub body_ms: Option<u32>,
}
