//! How an attempt ended: a closed set, so that figures and retry rules cannot miss a case.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};

use crate::log::AttemptRow;
use crate::timings::Timings;

macro_rules! error_classes {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $sentence:literal;)*) => {
        /// Why an attempt got no good answer. Prints as the label that log rows and metrics use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum ErrorClass {
            $($(#[$doc])* $name,)*
        }

        impl ErrorClass {
            /// Every class, in a fixed order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The label: lower case, stable.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// A sentence for people. It never holds an address.
            const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

error_classes! {
    /// The host name did not resolve.
    DnsError = "dns_error", "the host name did not resolve";
    /// Nobody listens there.
    ConnectionRefused = "connection_refused", "the connection was refused";
    /// The connection broke before the answer was complete.
    ConnectionReset = "connection_reset", "the connection broke before an answer was complete";
    /// No route, no such network, or another failure to connect.
    ConnectionFailed = "connection_failed", "no connection could be made";
    /// Not done within the webhook's time limit.
    Timeout = "timeout", "not done within the time limit";
    /// The TLS handshake failed, for instance over a bad certificate.
    TlsError = "tls_error", "the TLS handshake failed";
    /// The address rules forbid it.
    AddressBlocked = "address_blocked", "the destination address is not allowed";
    /// The row's URL cannot be called.
    InvalidUrl = "invalid_url", "the URL cannot be called";
    /// The configured proxy did not make a connection.
    ProxyError = "proxy_error", "the proxy made no connection";
    /// What came back is no HTTP/1.1, or its head is longer than we read.
    InvalidResponse = "invalid_response", "the answer is not valid HTTP/1.1, or its head is too long";
    /// The answer's body is longer than we read.
    ResponseTooLarge = "response_too_large", "the answer's body is longer than 65536 bytes; the rest was not read";
}

impl ErrorClass {
    /// Whether the same attempt may do better later: not when rules forbid it.
    const fn is_worth_retrying(self) -> bool {
        !matches!(self, Self::AddressBlocked | Self::InvalidUrl | Self::ResponseTooLarge)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What went wrong in an attempt. Prints as one line for the log: `timeout: not done within the time limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: ErrorClass,
    /// A sentence that says more than the class does; never an address.
    detail: Option<&'static str>,
}

impl Failure {
    pub(crate) const fn new(class: ErrorClass) -> Self {
        Self { class, detail: None }
    }

    /// One whose reason is known closer than its class.
    pub(crate) const fn because(class: ErrorClass, detail: &'static str) -> Self {
        Self { class, detail: Some(detail) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.detail.unwrap_or(self.class.sentence()))
    }
}

/// How one attempt ended.
///
/// The status decides: once it is known, whatever goes wrong while the body is read (too long, cut
/// off, too slow) is noted in `failure` and changes nothing else, so that the figures, which count
/// rows with 2xx, and the deliveries' states agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AttemptOutcome {
    /// The answer's status, when there was one.
    pub(crate) status: Option<u16>,
    /// The start of the answer's body.
    pub(crate) body: Option<String>,
    /// What went wrong.
    pub(crate) failure: Option<Failure>,
    /// How long the receiver asks us to wait before the next attempt, at most a day; with any status.
    pub(crate) retry_after: Option<Duration>,
    /// The phases it went through.
    pub(crate) timings: Timings,
    /// From the first step to the end of the body.
    pub(crate) took: Duration,
}

impl AttemptOutcome {
    /// Whether the receiver said 2xx.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether another attempt may do better: after a 5xx, or without a status after a network error or timeout.
    pub(crate) fn is_worth_retrying(&self) -> bool {
        match (self.status, self.failure) {
            (Some(status), _) => (500..600).contains(&status),
            (None, Some(failure)) => failure.class.is_worth_retrying(),
            (None, None) => false,
        }
    }

    /// The log row of this attempt.
    pub(crate) fn into_row(
        self,
        webhook: WebhookId,
        delivery: DeliveryId,
        event_type: EventType,
        body: Bytes,
        attempt: u32,
        at: Timestamp,
    ) -> AttemptRow {
        AttemptRow {
            webhook,
            event_type,
            body,
            response_code: self.status,
            response_body: self.body,
            error: self.failure.map(|failure| failure.to_string()),
            duration_ms: self.took.as_millis() as u32,
            attempt,
            delivery: Some(delivery),
            timings: self.timings,
            at,
        }
    }
}
