//! A tunnel through the operator's proxy (RFC 9110, section 9.3.6).
//!
//! The proxy is given the address that was judged, never the name: it would resolve it again, and
//! might be told another one.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::answer_head::{HEAD_BYTES, end_of_head, status};
use crate::failure::{ErrorClass, Failure};
use crate::proxy::Proxy;

const UNREADABLE: Failure = ours("the proxy's answer is not HTTP");

/// The proxy is the operator's, and so is what it does not do.
const fn ours(detail: &'static str) -> Failure {
    Failure::ours(ErrorClass::ProxyError, detail)
}

/// What is not even tried says nothing of the receiver.
const NO_TUNNELS: Failure = ours("the proxy makes no tunnels: is WEBHOOK_PROXY the address of an HTTP proxy?");

/// The failure of a proxy that could not be reached.
pub(crate) const UNREACHABLE: Failure = ours("the proxy cannot be reached");

/// The failure of one that could not be reached before the request's deadline.
pub(crate) const LATE: Failure = Failure::ours(ErrorClass::Timeout, "the proxy was not reached within the time limit");

/// Asks for a tunnel to the address over a connection to the proxy.
pub(crate) async fn open(stream: &mut TcpStream, proxy: &Proxy, to: SocketAddr) -> Result<(), Failure> {
    stream.write_all(&request(proxy, to)).await.map_err(|_| BROKEN)?;
    loop {
        let head = read_head(stream).await?;
        // Informational answers may come before the one that counts.
        if !head.starts_with(b"HTTP/1.") || status(&head).is_none_or(|status| status[0] != b'1') {
            return judge(&head);
        }
    }
}

const BROKEN: Failure = ours("the proxy broke the connection");

/// Byte by byte: what follows the head belongs to the receiver, and a tunnel is opened once for many requests.
async fn read_head(stream: &mut TcpStream) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::new();
    while end_of_head(&head, head.len().saturating_sub(3)).is_none() {
        if head.len() == HEAD_BYTES {
            return Err(UNREADABLE);
        }
        head.push(stream.read_u8().await.map_err(|_| BROKEN)?);
    }
    Ok(head)
}

fn request(proxy: &Proxy, to: SocketAddr) -> Vec<u8> {
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

fn judge(head: &[u8]) -> Result<(), Failure> {
    let rest = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 ")).ok_or(UNREADABLE)?;
    match rest.get(..3).ok_or(UNREADABLE)? {
        [b'2', _, _] => Ok(()),
        b"401" | b"407" => Err(ours("the proxy wants another user name or password")),
        b"403" => Err(ours("the proxy forbids this destination")),
        b"429" => Err(ours("the proxy takes no more connections from here for now")),
        b"501" | b"505" | b"511" | [b'3' | b'4', _, _] => Err(NO_TUNNELS),
        // It tried; what it could not do it could not do with the receiver. RFC 9110 has 502 to 504 for this, some
        // proxies say 500.
        [b'5', _, _] => Err(Failure::because(ErrorClass::ProxyError, "the proxy could not connect to the receiver")),
        _ => Err(UNREADABLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_asked_for_not_a_name() {
        let proxy = Proxy::parse("http://a:b@proxy.internal:3128").expect("legal");
        let asked = String::from_utf8(request(&proxy, "[2606:4700::1]:443".parse().expect("legal"))).expect("text");
        let wanted = "CONNECT [2606:4700::1]:443 HTTP/1.1\r\nHost: [2606:4700::1]:443\r\n\
                      Proxy-Authorization: Basic YTpi\r\n\r\n";
        assert_eq!(asked, wanted);
    }

    #[test]
    fn only_a_2xx_opens_the_tunnel() {
        for (head, wanted) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", "open"),
            ("HTTP/1.0 204\r\n\r\n", "open"),
            ("HTTP/1.1 407 Who are you\r\n\r\n", "password"),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "forbids"),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "could not connect"),
            ("HTTP/1.1 500 Unable to connect\r\n\r\n", "could not connect"),
            ("HTTP/1.1 504 Gateway Timeout\r\n\r\n", "could not connect"),
            ("HTTP/1.1 100 Continue\r\n\r\n", "not HTTP"),
            ("HTTP/2 200\r\n\r\n", "not HTTP"),
            ("\r\n\r\n", "not HTTP"),
        ] {
            let judged = judge(head.as_bytes()).map_or_else(|failure| failure.to_string(), |()| "open".to_owned());
            assert!(judged.contains(wanted), "{head:?}: {judged}");
        }
    }

    #[test]
    fn what_a_proxy_does_not_try_is_no_receivers_fault() {
        for code in [301, 302, 400, 401, 403, 404, 405, 407, 408, 429, 501, 505, 511] {
            let judged = judge(format!("HTTP/1.1 {code} Whatever\r\n\r\n").as_bytes());
            assert!(judged.expect_err("no tunnel").is_ours(), "{code}");
        }
        for code in [500, 502, 503, 504] {
            let judged = judge(format!("HTTP/1.1 {code} Whatever\r\n\r\n").as_bytes());
            assert!(!judged.expect_err("no tunnel").is_ours(), "{code}");
        }
    }
}
