//! Where a token may stand in a request.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

/// Where a token stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPlace {
    /// `Authorization: Bearer …`
    Header,
    /// `?token=…`: browsers cannot set headers on a WebSocket.
    Query,
    /// `Sec-WebSocket-Protocol: bearer, <token>`: keeps the token out of addresses.
    Subprotocol,
    /// A `token` command: given by a client that is connected, in place of the one it came with.
    Message,
}

/// The first token found: header, then query, then subprotocol.
pub(crate) fn find_token<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<(Cow<'a, str>, TokenPlace)> {
    let in_header = headers.get(AUTHORIZATION).and_then(|value| bearer(value.to_str().ok()?));
    if let Some(token) = in_header {
        return Some((Cow::Borrowed(token), TokenPlace::Header));
    }
    let in_query = query.filter(|query| query.contains("token=")).and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, value)| name == "token" && !value.is_empty())
    });
    if let Some((_, token)) = in_query {
        return Some((token, TokenPlace::Query));
    }
    subprotocol_token(headers).map(|token| (Cow::Borrowed(token), TokenPlace::Subprotocol))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// What follows the word `bearer`, in letters of any size, in the list of offered subprotocols.
fn subprotocol_token(headers: &HeaderMap) -> Option<&str> {
    let mut offered = offered_subprotocols(headers);
    offered.find(|name| is_bearer(name))?;
    offered.next().filter(|token| !token.is_empty())
}

/// The subprotocols that a handshake offers, in order.
pub(crate) fn offered_subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether this is the subprotocol after which a token stands.
pub(crate) fn is_bearer(subprotocol: &str) -> bool {
    subprotocol.eq_ignore_ascii_case("bearer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<(&'static str, &str)>, query: Option<&str>, found: Option<(&str, TokenPlace)>) {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().expect("legal value"));
        }
        let token = find_token(&headers, query);
        assert_eq!(token.as_ref().map(|(token, place)| (&**token, *place)), found);
    }

    #[test]
    fn a_token_is_found_in_each_place() {
        check(None, None, None);
        check(Some(("authorization", "Bearer abc")), Some("token=q"), Some(("abc", TokenPlace::Header)));
        check(Some(("authorization", "bearer  abc ")), None, Some(("abc", TokenPlace::Header)));
        check(Some(("authorization", "Basic abc")), Some("a=1&token=q%2Eq"), Some(("q.q", TokenPlace::Query)));
        check(None, Some("mytoken=q"), None);
        check(None, Some("token="), None);
        check(Some(("sec-websocket-protocol", "bearer, a.b.c")), None, Some(("a.b.c", TokenPlace::Subprotocol)));
        check(Some(("sec-websocket-protocol", "chat,bearer,a.b.c")), None, Some(("a.b.c", TokenPlace::Subprotocol)));
        check(Some(("sec-websocket-protocol", "chat, bearer")), None, None);
        check(Some(("sec-websocket-protocol", "bearer,")), None, None);
        check(Some(("sec-websocket-protocol", "Bearer, a.b.c")), None, Some(("a.b.c", TokenPlace::Subprotocol)));
    }
}
