//! A loopback port that nobody else gets, also while its server is down.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A free port, kept from the rest of the machine until dropped.
///
/// The socket is bound and never listens. On Linux a server that sets `SO_REUSEADDR`, as Redis and MariaDB do, can
/// listen on the same port all the same, while the kernel hands it to nobody: not to another test, and
/// not to a connection that goes out. The latter would also let a client that reconnects to a dead server
/// meet itself (a TCP self-connect).
#[derive(Debug)]
pub struct HeldPort {
    number: u16,
    _held: Option<TcpSocket>,
}

impl HeldPort {
    /// Takes a free one. Elsewhere than on Linux it is only probably free later.
    ///
    /// # Panics
    /// When there is none.
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a fresh socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free loopback port");
        let number = socket.local_addr().expect("bound").port();
        Self { number, _held: cfg!(target_os = "linux").then_some(socket) }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_server_can_listen_on_it_and_leave_and_come_back() {
        let port = HeldPort::take();
        let addr = (Ipv4Addr::LOCALHOST, port.number());
        for _life in 0..2 {
            TcpStream::connect(addr).await.expect_err("nobody listens");
            // tokio's listener sets SO_REUSEADDR, as Redis does.
            let listener = TcpListener::bind(addr).await.expect("a held port can be listened on");
            TcpStream::connect(addr).await.expect("somebody listens");
            drop(listener);
        }
    }
}
