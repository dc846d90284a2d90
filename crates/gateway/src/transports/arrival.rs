//! How much of what was written the far system has not acknowledged, asked of Linux by netlink (`sock_diag(7)`): the
//! `ioctl` that says the same needs `unsafe`.

use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u8 = 10;

/// `nlmsghdr` and `inet_diag_req_v2`.
const REQUEST_BYTES: usize = 16 + 56;
/// `nlmsghdr` and `inet_diag_msg`, without attributes.
const ANSWER_BYTES: usize = 16 + 72;
/// Where the latter holds what is queued for writing: sent and not acknowledged, or not sent.
const QUEUED_AT: usize = 16 + 4 + 48 + 4 + 4;

/// What the far system has of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Whole,
    /// So many bytes are missing.
    Missing(u32),
    /// The connection is no more.
    Gone,
    /// This system does not say.
    Unknown,
}

/// What has arrived of all that was written to this connection.
pub(super) fn arrival(stream: &TcpStream) -> Arrival {
    if !cfg!(target_os = "linux") {
        return Arrival::Unknown;
    }
    // A connection that was reset has no other end any more.
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return Arrival::Gone };
    match ask(local, peer) {
        Ok(0) => Arrival::Whole,
        Ok(n_missing) => Arrival::Missing(n_missing),
        Err(error) if error.kind() == ErrorKind::NotFound => Arrival::Gone,
        Err(error) => {
            tracing::debug!(%error, "the system does not say what has arrived");
            Arrival::Unknown
        }
    }
}

fn ask(local: SocketAddr, peer: SocketAddr) -> io::Result<u32> {
    let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_SOCK_DIAG)))?;
    // The answer is there when sending returns.
    socket.set_nonblocking(true)?;
    socket.send(&request(local, peer))?;
    let mut answer = [0; 512];
    let n_read = socket.read(&mut answer)?;
    queued(&answer[..n_read])
}

/// What is queued for writing, by an answer that is no error.
fn queued(answer: &[u8]) -> io::Result<u32> {
    let short = || io::Error::from(ErrorKind::UnexpectedEof);
    let (header, body) = answer.split_at_checked(16).ok_or_else(short)?;
    if u16::from_ne_bytes([header[4], header[5]]) != SOCK_DIAG_BY_FAMILY {
        let error = body.first_chunk().map(|error| i32::from_ne_bytes(*error)).ok_or_else(short)?;
        return Err(io::Error::from_raw_os_error(-error));
    }
    if answer.len() < ANSWER_BYTES {
        return Err(short());
    }
    // Where the connection is no more, whoever accepts others at this address is found.
    if body[1] == TCP_LISTEN {
        return Err(ErrorKind::NotFound.into());
    }
    Ok(u32::from_ne_bytes(*answer[QUEUED_AT..].first_chunk().ok_or_else(short)?))
}

/// Asks for one socket by its two addresses.
fn request(local: SocketAddr, peer: SocketAddr) -> [u8; REQUEST_BYTES] {
    let mut request = [0; REQUEST_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        request[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&(REQUEST_BYTES as u32).to_ne_bytes());
    put(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(&NLM_F_REQUEST.to_ne_bytes());
    // Number and port: there is one request, and the system gives the port.
    put(&[0; 8]);
    put(&[if local.is_ipv4() { AF_INET } else { AF_INET6 }, IPPROTO_TCP, 0, 0]);
    // In any state.
    put(&[0xFF; 4]);
    put(&local.port().to_be_bytes());
    put(&peer.port().to_be_bytes());
    put(&address(local.ip()));
    put(&address(peer.ip()));
    // Through any interface, with any cookie.
    put(&[0; 4]);
    put(&[0xFF; 8]);
    request
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use hookswitch_testkit::{PATIENCE, eventually};
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    async fn check(host: &str) {
        let listener = TcpListener::bind((host, 0)).await.expect("a free port");
        let mut far = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (near, _) = listener.accept().await.expect("it connects");
        assert_eq!(arrival(&near), Arrival::Whole);
        near.writable().await.expect("open");
        let (mut n_written, many) = (0, vec![b'x'; 64 * 1024]);
        while let Ok(n) = near.try_write(&many) {
            n_written += n;
        }
        assert!(matches!(arrival(&near), Arrival::Missing(1..)), "the far end does not read");
        far.read_exact(&mut vec![0; n_written]).await.expect("all of it");
        eventually("it is acknowledged", PATIENCE, async || arrival(&near) == Arrival::Whole).await;
        near.try_write(b"unread").expect("room");
        far.readable().await.expect("open");
        // With something unread this is a reset.
        drop(far);
        eventually("the end is seen", PATIENCE, async || arrival(&near) == Arrival::Gone).await;
    }

    #[tokio::test]
    async fn what_the_far_end_does_not_take_is_told() {
        check("127.0.0.1").await;
        check("::1").await;
    }

    #[test]
    fn an_error_and_half_an_answer_are_no_figure() {
        let mut answer = [0; ANSWER_BYTES];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        answer[QUEUED_AT..QUEUED_AT + 4].copy_from_slice(&7u32.to_ne_bytes());
        assert_eq!(queued(&answer).expect("a figure"), 7);
        let kind = |answer: &[u8]| queued(answer).expect_err("no figure").kind();
        assert_eq!(
            (kind(&answer[..ANSWER_BYTES - 1]), kind(b"")),
            (ErrorKind::UnexpectedEof, ErrorKind::UnexpectedEof)
        );
        answer[17] = TCP_LISTEN;
        assert_eq!(kind(&answer), ErrorKind::NotFound);
        let mut error = [0; 20];
        error[4] = 2;
        error[16..].copy_from_slice(&(-2i32).to_ne_bytes());
        assert_eq!(kind(&error), ErrorKind::NotFound);
    }
}
