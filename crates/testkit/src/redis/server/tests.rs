//! The harness is what it says: a real server that can be lost in every way.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::{Fault, FaultProxy, PATIENCE, RedisServer, RedisSpec};

/// Long enough to be sure that there is no answer, short enough to wait for.
const A_WHILE: Duration = Duration::from_millis(200);

/// A connection that speaks as little Redis as a test needs.
struct RedisConnection(TcpStream);

impl RedisConnection {
    async fn open(addr: &str) -> Self {
        Self(TcpStream::connect(addr).await.expect("the server accepts"))
    }

    async fn ping(&mut self) {
        self.0.write_all(b"PING\r\n").await.expect("the line is open");
    }

    async fn pong(&mut self) -> std::io::Result<bool> {
        let mut answer = [0; 7];
        let read = timeout(PATIENCE, self.0.read_exact(&mut answer)).await.expect("an answer or an end");
        read.map(|_| &answer == b"+PONG\r\n")
    }

    async fn is_silent(&mut self) -> bool {
        timeout(A_WHILE, self.0.peek(&mut [0])).await.is_err()
    }
}

async fn server() -> RedisServer {
    RedisSpec::new().start().await
}

#[tokio::test]
async fn it_starts_and_its_directory_and_process_go_with_it() {
    let server = server().await;
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    assert_eq!(server.cli(&["SET", "key", "two words"]).await, "OK");
    assert_eq!(server.cli(&["GET", "key"]).await, "two words");
    let (addr, dir) = (server.addr(), server.process.dir().to_owned());
    drop(server);
    assert!(!dir.exists());
    TcpStream::connect(addr).await.expect_err("nobody listens any more");
}

#[tokio::test]
async fn killed_it_resets_connections_and_a_restart_is_empty_on_the_same_port() {
    let mut server = server().await;
    server.cli(&["SET", "key", "value"]).await;
    let (addr, pid) = (server.addr(), server.pid());
    let mut connection = RedisConnection::open(&addr).await;
    connection.ping().await;
    assert!(connection.pong().await.unwrap());

    server.kill().await;
    connection.pong().await.expect_err("the connection has ended");
    TcpStream::connect(&addr).await.expect_err("nobody listens");

    server.restart().await;
    assert_eq!((server.addr(), server.pid() == pid), (addr, false));
    assert_eq!(server.cli(&["DBSIZE"]).await, "0");
    server.restart().await;
}

#[tokio::test]
async fn suspended_it_accepts_and_says_nothing_until_it_is_resumed() {
    let server = server().await;
    let mut old = RedisConnection::open(&server.addr()).await;
    server.suspend();
    let mut new = RedisConnection::open(&server.addr()).await;
    old.ping().await;
    new.ping().await;
    assert!(old.is_silent().await && new.is_silent().await);
    server.resume();
    assert!(old.pong().await.unwrap() && new.pong().await.unwrap());

    server.suspend();
    drop(server);
    old.pong().await.expect_err("also a suspended one is killed when dropped");
}

#[tokio::test]
#[should_panic(expected = "for a server that is dead")]
async fn a_dead_one_is_not_signalled() {
    let mut server = server().await;
    server.kill().await;
    server.suspend();
}

#[tokio::test]
async fn a_pause_of_clients_ends_by_itself() {
    let server = server().await;
    let mut connection = RedisConnection::open(&server.addr()).await;
    let started = Instant::now();
    server.client_pause(A_WHILE * 2).await;
    connection.ping().await;
    assert!(connection.pong().await.unwrap());
    assert!(started.elapsed() >= A_WHILE * 2);
}

#[tokio::test]
async fn a_password_is_asked_for_and_used() {
    let server = RedisSpec::new().password("secret42").start().await;
    assert_eq!(server.url(), format!("redis://:secret42@127.0.0.1:{}", server.port()));
    assert_eq!(server.cli(&["PING"]).await, "PONG");
    let mut connection = RedisConnection::open(&server.addr()).await;
    connection.ping().await;
    assert!(!connection.pong().await.unwrap(), "without the password there is no answer");
}

#[tokio::test]
async fn it_speaks_tls_with_a_certificate_that_its_authority_confirms() {
    let server = RedisSpec::new().tls().start().await;
    assert_eq!(server.url(), format!("rediss://127.0.0.1:{}", server.port()));
    assert!(server.ca_file().is_some_and(|path| path.exists()));
    assert_eq!(server.cli(&["PING"]).await, "PONG");
}

#[tokio::test]
async fn its_settings_reach_it() {
    let server = RedisSpec::new().setting("maxmemory", "2mb").start().await;
    assert_eq!(server.cli(&["CONFIG", "GET", "maxmemory"]).await, "maxmemory\n2097152");
}

#[tokio::test]
#[should_panic(expected = "unknown command")]
async fn an_error_of_the_server_is_not_taken_for_an_answer() {
    server().await.cli(&["NONSENSE"]).await;
}

#[tokio::test]
async fn a_fault_proxy_can_stand_before_it() {
    let server = server().await;
    let proxy = FaultProxy::start(&server.addr()).await;
    let mut old = RedisConnection::open(proxy.addr()).await;
    old.ping().await;
    assert!(old.pong().await.unwrap());

    proxy.set(Fault::Stall);
    let mut new = RedisConnection::open(proxy.addr()).await;
    old.ping().await;
    new.ping().await;
    assert!(old.is_silent().await && new.is_silent().await);
    proxy.heal();
    assert!(old.pong().await.unwrap() && new.pong().await.unwrap());

    proxy.set(Fault::Cut);
    old.pong().await.expect_err("cut");
    proxy.set(Fault::Refuse);
    if let Ok(stream) = TcpStream::connect(proxy.addr()).await {
        RedisConnection(stream).pong().await.expect_err("refused");
    }
    assert_eq!(server.cli(&["PING"]).await, "PONG");
}
