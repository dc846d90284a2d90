//! A MariaDB server of one test, and databases on it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;

use super::cli::Cli;
use super::seed::{PASSWORD, USER};
use crate::process::Process;

/// A running (or killed, or suspended) MariaDB server; killed when dropped. Its log is shown when the test panics.
#[derive(Debug)]
pub struct MariaDbServer {
    process: Process<Cli>,
    n_databases: AtomicU32,
}

/// One database on a server, empty at first. It lasts as long as the server.
#[derive(Debug, Clone)]
pub struct MariaDb {
    name: String,
    addr: String,
    cli: Cli,
}

impl MariaDbServer {
    pub(super) fn new(process: Process<Cli>) -> Self {
        Self { process, n_databases: AtomicU32::new(0) }
    }

    /// Makes another database.
    pub async fn create_database(&self) -> MariaDb {
        let name = format!("calls_{}", self.n_databases.fetch_add(1, Ordering::Relaxed) + 1);
        self.process.cli().run("", &format!("CREATE DATABASE {name}")).await;
        MariaDb { name, addr: self.addr(), cli: self.process.cli().clone() }
    }

    /// `127.0.0.1:PORT`, for a [`FaultProxy`](crate::FaultProxy) before it; the same in all its lives.
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.process.port())
    }

    /// Its process id; another one after a restart.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its socket, where it also listens.
    pub fn socket(&self) -> PathBuf {
        self.process.cli().socket.clone()
    }

    /// Everything it has printed, over all its lives.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Kills it without a word (`kill -9`) and waits until it is gone. Its connections are reset.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again on the same port and with the same data; kills it first if it still runs.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn restart(&mut self) {
        self.process.restart().await;
    }

    /// Stops it without its connections noticing (SIGSTOP): they stay open, new ones are accepted by the
    /// kernel, nothing is answered.
    pub fn suspend(&self) {
        self.process.suspend();
    }

    /// Lets it go on after [`Self::suspend`]; what was sent to it meanwhile is done now.
    pub fn resume(&self) {
        self.process.signal(Signal::SIGCONT);
    }
}

impl MariaDb {
    /// Where a client finds it, with user and password.
    pub fn url(&self) -> String {
        self.url_at(&self.addr)
    }

    /// The same through a proxy at `addr` (`host:port`).
    pub fn url_at(&self, addr: &str) -> String {
        format!("mysql://{USER}:{PASSWORD}@{addr}/{}", self.name)
    }

    /// The password in the URL, which nobody should ever see in a log or an error.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements with the real `mariadb` client and returns their rows, a line each, values
    /// apart by tabs.
    ///
    /// # Panics
    /// When one fails, with what the server said; when there is no answer in 15 s.
    pub async fn sql(&self, statements: &str) -> String {
        self.cli.run(&self.name, statements).await
    }

    /// The same, with what the server said as the error.
    ///
    /// # Errors
    /// What the server said.
    ///
    /// # Panics
    /// When there is no answer in 15 s.
    pub async fn try_sql(&self, statements: &str) -> Result<String, String> {
        self.cli.try_run(&self.name, statements).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn databases_are_apart_and_outlive_a_kill() {
        let mut server = MariaDbServer::start().await;
        let (one, two) = (server.create_database().await, server.create_database().await);
        one.sql("CREATE TABLE t (n INT, s TEXT); INSERT INTO t VALUES (1, 'ä b'), (2, NULL)").await;
        assert_eq!(one.sql("SELECT n, s FROM t ORDER BY n").await, "1\tä b\n2\tNULL");
        assert!(two.try_sql("SELECT n FROM t").await.expect_err("another database").contains("doesn't exist"));
        let addr = server.addr();
        TcpStream::connect(&addr).await.expect("it listens");
        server.kill().await;
        TcpStream::connect(&addr).await.expect_err("nobody listens any more");
        server.restart().await;
        TcpStream::connect(&addr).await.expect("it listens again");
        assert_eq!(one.sql("SELECT COUNT(*) FROM t").await, "2");
    }
}
