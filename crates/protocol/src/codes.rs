//! Error codes and WebSocket close codes. Names and numbers never change meaning.

/// What a client should do after its connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Come back, with some jitter.
    Yes,
    /// Come back with a fresh token.
    WithNewToken,
    /// Stay away: coming back would end the same way.
    No,
}

/// Why the server closes a WebSocket.
///
/// Ours are in two ranges, so that a client without a table knows what to do: 4400–4409 come back,
/// 4410–4419 stay away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 1000: answer to the client's own close.
    Normal,
    /// 1002: the client broke the WebSocket protocol.
    ProtocolError,
    /// 1007: a text message was not UTF-8.
    InvalidUtf8,
    /// 1009: a message was larger than 512 KiB.
    TooLarge,
    /// 1012: the node shuts down or drains.
    Restarting,
    /// 1013: the node takes no connection now: it drains, or a limit is reached.
    TryLater,
    /// 4401: the token expired.
    TokenExpired,
    /// 4408: nothing was heard for too long.
    Silent,
    /// 4410: the chat session ended.
    SessionEnded,
    /// 4412: what the request's URL says cannot be read, such as the names of `?events=`.
    BadRequest,
    /// 4413: the page's origin, or the role, may not connect.
    NotAllowed,
    /// 4414: there is no such chat session.
    NoSession,
}

impl CloseCode {
    /// Every code, in numeric order.
    pub const ALL: &'static [Self] = &[
        Self::Normal,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::TooLarge,
        Self::Restarting,
        Self::TryLater,
        Self::TokenExpired,
        Self::Silent,
        Self::SessionEnded,
        Self::BadRequest,
        Self::NotAllowed,
        Self::NoSession,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::ProtocolError => 1002,
            Self::InvalidUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::Restarting => 1012,
            Self::TryLater => 1013,
            Self::TokenExpired => 4401,
            Self::Silent => 4408,
            Self::SessionEnded => 4410,
            Self::BadRequest => 4412,
            Self::NotAllowed => 4413,
            Self::NoSession => 4414,
        }
    }

    /// The reason text sent beside the number; also the metric label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "bye",
            Self::ProtocolError => "protocol error",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::TooLarge => "message larger than 524288 bytes",
            Self::Restarting => "node is restarting, reconnect",
            Self::TryLater => "no connection now, reconnect later",
            Self::TokenExpired => "token expired, reconnect with a new one",
            Self::Silent => "nothing heard for too long, reconnect",
            Self::SessionEnded => "chat session ended",
            Self::BadRequest => "request cannot be read",
            Self::NotAllowed => "origin or role not allowed",
            Self::NoSession => "no such chat session",
        }
    }

    /// What the client should do.
    pub const fn reconnect(self) -> Reconnect {
        match self {
            Self::Restarting | Self::TryLater | Self::Silent => Reconnect::Yes,
            Self::TokenExpired => Reconnect::WithNewToken,
            Self::Normal
            | Self::ProtocolError
            | Self::InvalidUtf8
            | Self::TooLarge
            | Self::SessionEnded
            | Self::BadRequest
            | Self::NotAllowed
            | Self::NoSession => Reconnect::No,
        }
    }
}

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal $text:literal,)*) => {
        /// What went wrong, as told to clients over WebSocket and HTTP.
        ///
        /// Numbers: 1xx the input is wrong, 2xx the caller may not, 3xx the thing is not there or is
        /// in the way, 4xx try again later, 5xx our fault, 6xx something was missed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])* $name,)* }

        impl ErrorCode {
            /// Every code, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable number.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// The stable text that goes into `code`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Where the node and the repository explain it: a path with an anchor.
            pub const fn docs(self) -> &'static str {
                match self { $(Self::$name => concat!("/docs/errors.md#", $text),)* }
            }

            /// What it means, in a sentence or two.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_start(),)* }
            }
        }
    };
}

error_codes! {
    /// The text is not JSON.
    InvalidJson = 100 "invalid_json",
    /// A field is missing, of the wrong type or out of range; a message is no JSON object.
    InvalidField = 101 "invalid_field",
    /// A client command nobody knows.
    UnknownCommand = 102 "unknown_command",
    /// More names in a subscription than allowed.
    TooManyNames = 103 "too_many_names",
    /// The event type is reserved for the server.
    ReservedType = 104 "reserved_type",
    /// The body or message is too large, or a field of a typing indicator.
    TooLarge = 105 "too_large",
    /// The message is binary where text is wanted.
    NotText = 106 "not_text",
    /// The webhook address is not allowed.
    AddressBlocked = 107 "address_blocked",
    /// What arrived is no HTTP request that this server reads, or its head is too large (`SERVER_HEADER_BYTES`).
    InvalidRequest = 108 "invalid_request",
    /// No token, or one that does not verify.
    Unauthorized = 200 "unauthorized",
    /// The token has expired.
    TokenExpired = 201 "token_expired",
    /// The role may not do this.
    Forbidden = 202 "forbidden",
    /// The page's origin is not allowed.
    OriginRefused = 203 "origin_refused",
    /// There is no such thing, or it belongs to another tenant.
    NotFound = 300 "not_found",
    /// The path exists, the method does not.
    MethodNotAllowed = 301 "method_not_allowed",
    /// The id was used before with other content, or the session key belongs to another tenant; what is to be sent
    /// again is under way, or its webhook is switched off.
    Conflict = 302 "conflict",
    /// The chat session is unknown or ended.
    UnknownSession = 303 "unknown_session",
    /// A WebSocket endpoint was asked without an upgrade.
    UpgradeRequired = 304 "upgrade_required",
    /// What happened behind a position cannot be given; the reason stands in the details.
    NotRecovered = 305 "not_recovered",
    /// Buffers are full, or too many chat sessions are live; nothing was accepted.
    Overloaded = 400 "overloaded",
    /// The node is shutting down; nothing was accepted.
    Draining = 401 "draining",
    /// The database, or what several nodes share, cannot be reached; nothing was accepted.
    StorageUnavailable = 402 "storage_unavailable",
    /// The request took too long to arrive.
    RequestTimeout = 403 "request_timeout",
    /// The tenant, or one of its agents, makes more requests than `SERVER_TENANT_RATE_LIMIT` allows; `Retry-After` says
    /// when to come again, `RateLimit-Limit` how many per second there may be. Over a WebSocket: commands come too fast
    /// and are read later, or of typing indicators only the latest is relayed.
    RateLimited = 404 "rate_limited",
    /// The tenant, the user or the chat session has as many WebSockets to this node as it may have
    /// (`WS_CONNECTIONS_PER_TENANT` and those beside it).
    TooManyConnections = 405 "too_many_connections",
    /// A bug of ours; the log has the details under the request id.
    Internal = 500 "internal",
    /// Events were dropped because the client did not read fast enough, or may have been lost between nodes.
    MessagesDropped = 600 "messages_dropped",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_say_whether_to_come_back() {
        for code in CloseCode::ALL {
            match code.number() {
                4400..=4409 => assert_ne!(code.reconnect(), Reconnect::No, "{code:?}"),
                4410..=4419 => assert_eq!(code.reconnect(), Reconnect::No, "{code:?}"),
                _ => {}
            }
        }
    }

    #[test]
    fn numbers_and_texts_are_unique_and_in_order() {
        let numbers: Vec<_> = ErrorCode::ALL.iter().map(|c| c.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        let texts: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
    }
}
