//! Ports that nobody else gets, and connections that leave nothing behind.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mio::net::TcpStream;
use socket2::{Domain, SockRef, Socket, Type};

/// A free loopback port for a server that is told its port and sets `SO_REUSEADDR`, as Redis and MariaDB do: bound here
/// and never listening, it goes to nobody else.
#[derive(Debug)]
pub(crate) struct HeldPort {
    pub(crate) address: SocketAddr,
    _held: Socket,
}

impl HeldPort {
    /// Takes one.
    pub(crate) fn take() -> Result<Self> {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        held.set_reuse_address(true)?;
        held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = held.local_addr()?.as_socket().context("a bound socket has an address")?;
        Ok(Self { address, _held: held })
    }
}

/// A non-blocking socket that leaves no `TIME_WAIT` behind: thousands of those would use up the machine's ports.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = std::net::TcpStream::connect(address).context("cannot connect")?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}
