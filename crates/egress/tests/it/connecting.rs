//! Names with several addresses, of which some are dead.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hookswitch_testkit::{Authority, Flaw, HostileReceiver, Receiver, Step};
use socket2::{Domain, Socket, Type};

use crate::{NAME, client_with, policy, post};

/// An address that neither refuses nor accepts, like a machine that is off: its queue of connections is full.
struct Dead {
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl Dead {
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&address.into()).expect("nobody else is there");
        listener.listen(0).expect("bound");
        let mut waiting = Vec::new();
        while let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(one);
        }
        Self { _listener: listener, _waiting: waiting }
    }
}

#[tokio::test]
async fn a_dead_first_address_fails_no_attempt() {
    let receiver = Receiver::healthy().await;
    let (_, port) =
        receiver.addr().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).expect("a port");
    let dead = [2, 3].map(|n| SocketAddr::from(([127, 0, 0, n], port.parse().expect("a number"))));
    let _dead = dead.map(Dead::at);
    // A new client, and so a new connection, for each attempt.
    for _ in 0..5 {
        let client = client_with(policy(&["127.0.0.2", "127.0.0.3", "127.0.0.1"]));
        let outcome = post(&client, &format!("http://{NAME}:{port}/")).await;
        assert_eq!(outcome.told(), (Some(200), String::new()));
        assert!(outcome.took < Duration::from_secs(3), "{:?}: each costs a quarter of a second", outcome.took);
    }
}

#[tokio::test]
async fn an_address_that_takes_connections_and_does_nothing_fails_no_attempt_over_tls() {
    let (authority, ok) = (Authority::new(), Step::send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    let receiver = HostileReceiver::start_tls(authority.server(NAME, Flaw::None), [Step::Read, ok]).await;
    let url = receiver.url("/");
    let port: u16 = url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let _dumb = std::net::TcpListener::bind(("127.0.0.2", port)).expect("nobody else is there");
    let policy = policy(&["127.0.0.2", "127.0.0.1"]).trust_authorities(authority.pem().as_bytes()).expect("PEM");
    let outcome = post(&client_with(policy), &format!("https://{NAME}:{port}/")).await;
    assert_eq!(outcome.told(), (Some(200), String::new()));
}
