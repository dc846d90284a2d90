//! A tunnel through the operator's proxy (RFC 9110, section 9.3.6).
//!
//! The proxy is given the address that was judged, never the name: it would resolve it again, and
//! might be told another one.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::{ErrorClass, Failure};
use crate::proxy::Proxy;

/// The longest head of the proxy's answer.
const HEAD_BYTES: usize = 8 * 1024;

const UNREADABLE: Failure = failed("the proxy's answer is not HTTP");

const fn failed(detail: &'static str) -> Failure {
    Failure::because(ErrorClass::ProxyError, detail)
}

/// The failure of a proxy that could not be reached.
pub(crate) const UNREACHABLE: Failure = failed("the proxy cannot be reached");

/// Asks for a tunnel to the address over a connection to the proxy.
pub(crate) async fn open(stream: &mut TcpStream, proxy: &Proxy, to: SocketAddr) -> Result<(), Failure> {
    let broken = |_| failed("the proxy broke the connection");
    stream.write_all(&request(proxy, to)).await.map_err(broken)?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to the receiver, and a tunnel is opened once for
    // many requests.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES {
            return Err(UNREADABLE);
        }
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    judge(&head)
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
        b"407" => Err(failed("the proxy wants another user name or password")),
        b"403" => Err(failed("the proxy forbids this destination")),
        [b'3'..=b'5', _, _] => Err(failed("the proxy could not connect to the receiver")),
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
            ("HTTP/1.1 302 Found\r\n\r\n", "could not connect"),
            ("HTTP/1.1 100 Continue\r\n\r\n", "not HTTP"),
            ("HTTP/2 200\r\n\r\n", "not HTTP"),
            ("\r\n\r\n", "not HTTP"),
        ] {
            let judged = judge(head.as_bytes()).map_or_else(|failure| failure.to_string(), |()| "open".to_owned());
            assert!(judged.contains(wanted), "{head:?}: {judged}");
        }
    }
}
