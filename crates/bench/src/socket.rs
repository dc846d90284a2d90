//! Connections that leave nothing behind.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use mio::net::TcpStream;
use socket2::SockRef;

/// A non-blocking socket that leaves no `TIME_WAIT` behind: thousands of those would use up the machine's ports.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = std::net::TcpStream::connect(address).context("cannot connect")?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}
