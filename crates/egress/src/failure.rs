//! What went wrong: a closed set, so that figures and retry rules cannot miss a case.

use std::fmt;

macro_rules! error_classes {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $sentence:literal;)*) => {
        /// Why a request got no good answer. Prints as the label that logs and metrics use.
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
    /// Not done within the time limit.
    Timeout = "timeout", "not done within the time limit";
    /// The TLS handshake failed, for instance over a bad certificate.
    TlsError = "tls_error", "the TLS handshake failed";
    /// The address rules forbid it.
    AddressBlocked = "address_blocked", "the destination address is not allowed";
    /// The URL cannot be called.
    InvalidUrl = "invalid_url", "the URL cannot be called";
    /// The configured proxy did not make a connection.
    ProxyError = "proxy_error", "the proxy made no connection";
    /// What came back is no HTTP/1.1, or its head is longer than we read.
    InvalidResponse = "invalid_response", "the answer is not valid HTTP/1.1, or its head is too long";
    /// The answer's body is longer than we read.
    ResponseTooLarge = "response_too_large", "the answer's body is longer than 65536 bytes; the rest was not read";
}

impl ErrorClass {
    /// Whether the same request may do better later: not when rules forbid it.
    pub const fn is_worth_retrying(self) -> bool {
        !matches!(self, Self::AddressBlocked | Self::InvalidUrl | Self::ResponseTooLarge)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What went wrong with a request. Prints as one line for the log: `timeout: not done within the time limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    class: ErrorClass,
    /// A sentence that says more than the class does; never an address.
    detail: Option<&'static str>,
    is_ours: bool,
    is_passing: bool,
}

impl Failure {
    /// One that is said by its class.
    pub const fn new(class: ErrorClass) -> Self {
        Self { class, detail: None, is_ours: false, is_passing: false }
    }

    /// One whose reason is known closer than its class.
    pub const fn because(class: ErrorClass, detail: &'static str) -> Self {
        Self { detail: Some(detail), ..Self::new(class) }
    }

    /// One on our side of the way: of our name servers, our proxy, or this machine.
    pub const fn ours(class: ErrorClass, detail: &'static str) -> Self {
        Self { is_ours: true, ..Self::because(class, detail) }
    }

    /// The same, of something that may be otherwise the next time although its class says that rules forbid it.
    pub(crate) const fn passing(self) -> Self {
        Self { is_passing: true, ..self }
    }

    /// Its class.
    pub const fn class(&self) -> ErrorClass {
        self.class
    }

    /// Whether it happened on our side of the way, so that nothing is known about the receiver: our name servers
    /// do not answer, our proxy is down, this machine has no descriptors left. Nobody is to be blamed for it.
    pub const fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Whether the same request may do better later: not when rules forbid it, unless they forbid only what its
    /// name happened to lead to.
    pub const fn is_worth_retrying(&self) -> bool {
        self.is_ours || self.is_passing || self.class.is_worth_retrying()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.detail.unwrap_or(self.class.sentence()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_or_passes_is_worth_another_try() {
        for class in ErrorClass::ALL.iter().copied() {
            assert_eq!(Failure::new(class).is_worth_retrying(), class.is_worth_retrying(), "{class}");
            assert!(!Failure::because(class, "x").is_ours(), "{class}");
            assert!(Failure::ours(class, "x").is_ours() && Failure::ours(class, "x").is_worth_retrying(), "{class}");
            let passing = Failure::new(class).passing();
            assert!(passing.is_worth_retrying() && !passing.is_ours(), "{class}");
        }
    }
}
