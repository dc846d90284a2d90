//! TCP connections to one of several addresses: whichever answers first (RFC 8305, "Happy Eyeballs").

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{ErrorClass, Failure};

/// How long an address is tried by itself before the next one is tried beside it; RFC 8305 recommends it.
const STEP: Duration = Duration::from_millis(250);

/// No TCP connection is waited for longer than this, all addresses of a name together.
const DEADLINE: Duration = Duration::from_secs(20);

/// Most addresses that are tried. More would be more sockets, for a name of which that many are dead.
const MOST_TRIED: usize = 16;

/// How long a connection is silent before it is probed.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Connects to the first of these addresses, in this order, that answers; one that is dead costs a quarter of a second.
///
/// Cancel safe: dropped, all tries end.
pub(crate) async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let tried = addresses.iter().copied().take(MOST_TRIED);
    match timeout(DEADLINE, first_of(tried, STEP, connect_one)).await {
        Ok(connected) => connected,
        Err(_) => Err(Failure::new(ErrorClass::Timeout)),
    }
}

/// Tries these, such as addresses, in order: the next one as soon as one has failed, or after `step` without a
/// decision, while the earlier ones go on. The first success counts; of failures the last one that says something.
pub(crate) async fn first_of<A, T, F>(
    tries: impl IntoIterator<Item = A>,
    step: Duration,
    try_one: impl Fn(A) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut untried: VecDeque<A> = tries.into_iter().collect();
    let mut running = FuturesUnordered::new();
    let mut failure = Failure::new(ErrorClass::ConnectionFailed);
    loop {
        match untried.pop_front() {
            Some(next) => running.push(try_one(next)),
            None if running.is_empty() => return Err(failure),
            None => {}
        }
        let ended = if untried.is_empty() { Ok(running.next().await) } else { timeout(step, running.next()).await };
        match ended {
            Ok(Some(Ok(connected))) => return Ok(connected),
            // A host without IPv6 fails at once there; what the other addresses say is of interest.
            Ok(Some(Err(other))) if other.class() != ErrorClass::ConnectionFailed || other.is_ours() => failure = other,
            _ => {}
        }
    }
}

/// The families in turn, beginning with IPv6 (RFC 8305, section 4); within one the order is kept.
pub(crate) fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (mut v6, mut v4): (VecDeque<_>, VecDeque<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let mut ordered = Vec::with_capacity(v6.len() + v4.len());
    while !(v6.is_empty() && v4.is_empty()) {
        ordered.extend(v6.pop_front());
        ordered.extend(v4.pop_front());
    }
    ordered
}

async fn connect_one(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address).await.map_err(|error| failure_of(&error, address))?;
    // Neither fails on a connection that stands; without them it is only a little slower.
    let _tuned = (
        stream.set_nodelay(true),
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE)),
    );
    Ok(stream)
}

/// What a failed connection is called, and whether this machine is to blame. A network that cannot be reached is
/// its fault for IPv4 only: without IPv6 it is complete, and a receiver that has nothing else cannot be called.
fn failure_of(error: &io::Error, address: SocketAddr) -> Failure {
    use ErrorClass::ConnectionFailed;
    const TOO_MANY_FILES: [Option<i32>; 2] = [Some(23), Some(24)];
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(ErrorClass::ConnectionRefused),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Failure::new(ErrorClass::ConnectionReset),
        io::ErrorKind::TimedOut => Failure::new(ErrorClass::Timeout),
        io::ErrorKind::NetworkUnreachable if address.is_ipv4() => {
            Failure::ours(ConnectionFailed, "this machine has no route there")
        }
        io::ErrorKind::AddrNotAvailable if address.is_ipv4() => {
            Failure::ours(ConnectionFailed, "this machine has no port left")
        }
        io::ErrorKind::PermissionDenied => Failure::ours(ConnectionFailed, "this machine forbids the connection"),
        io::ErrorKind::OutOfMemory => Failure::ours(ConnectionFailed, "this machine has no memory left"),
        _ if TOO_MANY_FILES.contains(&error.raw_os_error()) => {
            Failure::ours(ConnectionFailed, "this machine has no file descriptor left")
        }
        _ => Failure::new(ConnectionFailed),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::{Instant, sleep};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    fn numbered(n: u16) -> Vec<SocketAddr> {
        (1..=n).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect()
    }

    /// Tries these, where port `n` takes as long as `takes[n - 1]` and ends like that; also when each was begun.
    async fn raced(takes: &[(u64, Result<(), Failure>)]) -> (Result<u16, Failure>, u128, Vec<u128>) {
        let (began, begun) = (Instant::now(), Mutex::new(Vec::new()));
        let result = first_of(numbered(takes.len() as u16), STEP, |address| {
            begun.lock().expect("no poison").push(began.elapsed().as_millis());
            let (millis, result) = takes[usize::from(address.port()) - 1];
            async move {
                sleep(Duration::from_millis(millis)).await;
                result.map(|()| address.port())
            }
        });
        let result = result.await;
        let took = began.elapsed().as_millis();
        (result, took, begun.into_inner().expect("no poison"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_a_quarter_of_a_second() {
        let refused = Err(Failure::new(ErrorClass::ConnectionRefused));
        let (dead, good) = ((3_600_000, refused), (40, Ok(())));
        assert_eq!(raced(&[good, good]).await, (Ok(1), 40, vec![0]), "who answers in time is alone");
        assert_eq!(raced(&[dead, good]).await, (Ok(2), 290, vec![0, 250]));
        assert_eq!(raced(&[dead, dead, dead, good]).await, (Ok(4), 790, vec![0, 250, 500, 750]));
        assert_eq!(raced(&[(10, refused), good]).await, (Ok(2), 50, vec![0, 10]), "who fails is not waited for");
        assert_eq!(raced(&[(400, Ok(())), dead]).await, (Ok(1), 400, vec![0, 250]), "who is slow goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn of_failures_one_that_says_something_is_told() {
        let failed = |class| (1, Err(Failure::new(class)));
        let (nothing, refused) = (failed(ErrorClass::ConnectionFailed), failed(ErrorClass::ConnectionRefused));
        assert_eq!(raced(&[nothing, refused]).await.0, refused.1.map(|()| 0));
        assert_eq!(raced(&[refused, nothing]).await.0, refused.1.map(|()| 0));
        assert_eq!(raced(&[nothing]).await.0, nothing.1.map(|()| 0));
    }

    #[test]
    fn families_take_turns() {
        let (a, b, c) = (address("192.0.2.1:80"), address("192.0.2.2:80"), address("[2001:db8::1]:80"));
        assert_eq!(in_turns(vec![a, b, c]), [c, a, b]);
        assert_eq!(in_turns(vec![b, a]), [b, a]);
    }

    #[test]
    fn what_this_machine_lacks_is_nobody_else_s_fault() {
        let (v4, v6) = (address("192.0.2.1:80"), address("[2001:db8::1]:80"));
        let judged = |error: io::Error, to| failure_of(&error, to).is_ours();
        for kind in [io::ErrorKind::NetworkUnreachable, io::ErrorKind::AddrNotAvailable] {
            assert!(judged(kind.into(), v4) && !judged(kind.into(), v6), "{kind}");
        }
        assert!(judged(io::Error::from_raw_os_error(24), v4) && judged(io::Error::from_raw_os_error(23), v6));
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut, io::ErrorKind::HostUnreachable] {
            assert!(!judged(kind.into(), v4), "{kind}");
        }
    }

    #[tokio::test]
    async fn it_connects() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("bound");
        let stream = connect(&[here]).await.expect("somebody listens");
        assert!(stream.nodelay().expect("a socket"));
    }
}
