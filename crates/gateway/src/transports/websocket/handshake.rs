//! The opening handshake of RFC 6455, section 4.

use hookswitch_protocol::ErrorCode;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::extension::PerMessageDeflate;
use crate::auth::{is_bearer, offered_subprotocols};
use crate::http::{Body, Problem};

/// A handshake that may be answered with 101.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
    /// One of those that were offered, as the client wrote it: browsers compare the answer letter by letter.
    subprotocol: Option<HeaderValue>,
    deflate: Option<PerMessageDeflate>,
}

/// The subprotocol of clients that want to be told by a close why they are refused.
const TELLS_BY_CLOSE: &str = "hookswitch.v1";

/// Whether messages may be compressed where a client offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Taken,
    Declined,
}

impl Handshake {
    /// Checks the request's headers.
    ///
    /// # Errors
    /// 426 when it asks for no WebSocket of version 13, 400 when its key is broken.
    pub(crate) fn check(version: Version, headers: &HeaderMap, compression: Compression) -> Result<Self, Problem> {
        let is_upgrade = has_token(headers, &UPGRADE, "websocket") && has_token(headers, &CONNECTION, "upgrade");
        if !is_upgrade || version != Version::HTTP_11 {
            return Err(Problem::new(ErrorCode::UpgradeRequired, "this endpoint speaks WebSocket over HTTP/1.1 only"));
        }
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(Problem::new(ErrorCode::UpgradeRequired, "Sec-WebSocket-Version must be 13"));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes()));
        let key = key.ok_or_else(|| Problem::field("Sec-WebSocket-Key", "must be 16 bytes in base64"))?;
        let accept = derive_accept_key(key.as_bytes()).parse().expect("base64 is a legal header value");
        let own = offered_subprotocols(headers).find(|name| *name == TELLS_BY_CLOSE);
        let subprotocol = own.or_else(|| offered_subprotocols(headers).find(|name| is_bearer(name)));
        let deflate = match compression {
            Compression::Taken => PerMessageDeflate::choose(headers),
            Compression::Declined => None,
        };
        Ok(Self { accept, subprotocol: subprotocol.and_then(|name| name.parse().ok()), deflate })
    }

    /// Whether the client wants a close in place of an HTTP answer where it is refused.
    pub(crate) fn is_told_by_close(&self) -> bool {
        self.subprotocol.as_ref().is_some_and(|name| name == TELLS_BY_CLOSE)
    }

    /// Whether both sides may compress their messages.
    pub(crate) const fn compresses(&self) -> bool {
        self.deflate.is_some()
    }
}

/// The answer that ends HTTP on this socket.
pub(crate) fn switching_protocols(handshake: Handshake) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, handshake.accept);
    if let Some(subprotocol) = handshake.subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    if let Some(deflate) = handshake.deflate {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, deflate.answer());
    }
    response
}

/// Whether a comma-separated header holds this word.
fn has_token(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

/// 16 bytes in base64: 22 characters of the alphabet and two equals signs.
fn is_key(key: &[u8]) -> bool {
    let is_letter = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    matches!(key, [letters @ .., b'=', b'='] if letters.len() == 22 && letters.iter().all(is_letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn check(change: Option<(&'static str, &str)>) -> Result<Response<Body>, ErrorCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in GOOD.iter().copied().chain(change) {
            headers.insert(name, value.parse().expect("legal value"));
        }
        Handshake::check(Version::HTTP_11, &headers, Compression::Taken)
            .map(switching_protocols)
            .map_err(|problem| problem.code)
    }

    #[test]
    fn the_standards_own_example_is_answered() {
        let response = check(None).expect("a good handshake");
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
        let response = check(Some(("sec-websocket-protocol", "bearer, a.b.c"))).expect("a good handshake");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "bearer");
        let response = check(Some(("sec-websocket-protocol", "Bearer, a.b.c"))).expect("a good handshake");
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "Bearer", "as it was offered");
        for offered in ["hookswitch.v1", "bearer, a.b.c, hookswitch.v1", "hookswitch.v1, bearer, a.b.c"] {
            let response = check(Some(("sec-websocket-protocol", offered))).expect("a good handshake");
            assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], "hookswitch.v1", "{offered}");
        }
    }

    #[test]
    fn each_flaw_has_its_status() {
        let code = |name, value| check(Some((name, value))).expect_err(value);
        assert_eq!(code("connection", "keep-alive"), ErrorCode::UpgradeRequired);
        assert_eq!(code("upgrade", "h2c"), ErrorCode::UpgradeRequired);
        assert_eq!(code("sec-websocket-version", "8"), ErrorCode::UpgradeRequired);
        assert_eq!(code("sec-websocket-key", "short"), ErrorCode::InvalidField);
        assert_eq!(code("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=!"), ErrorCode::InvalidField);
        let http_10 = Handshake::check(Version::HTTP_10, &HeaderMap::new(), Compression::Taken).expect_err("HTTP/1.0");
        assert_eq!(http_10.code, ErrorCode::UpgradeRequired);
    }
}
