//! A single Redis server of one test.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::cli::Cli;
use crate::process::Process;

/// A running (or killed, or suspended) Redis server; killed when dropped. Its log is shown when the test panics.
#[derive(Debug)]
pub struct RedisServer {
    process: Process<Cli>,
}

impl RedisServer {
    pub(super) fn new(process: Process<Cli>) -> Self {
        Self { process }
    }

    /// Where a client finds it: `redis://127.0.0.1:PORT`, with the password if it has one, `rediss` for TLS.
    pub fn url(&self) -> String {
        let cli = self.process.cli();
        let scheme = if cli.ca_file.is_some() { "rediss" } else { "redis" };
        let password = cli.password.as_ref().map_or(String::new(), |password| format!(":{password}@"));
        format!("{scheme}://{password}{}", self.addr())
    }

    /// `127.0.0.1:PORT`, for a [`FaultProxy`](crate::FaultProxy) before it.
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Its port; the same in all its lives.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// Its process id; another one after a restart.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The certificate of the authority that a client must trust; nothing without TLS.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.process.cli().ca_file.clone()
    }

    /// Everything it has printed, over all its lives.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Runs one command with the real `redis-cli` and returns its raw output, trimmed.
    ///
    /// # Panics
    /// When it fails, with what it said; when there is no answer in 15 s.
    pub async fn cli(&self, args: &[&str]) -> String {
        self.process.cli().run(args).await
    }

    /// Kills it without a word (`kill -9`) and waits until it is gone. Its connections are reset.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts it again on the same port, empty; kills it first if it still runs.
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

    /// Lets it hold back all commands of all clients for so long, [`Self::cli`] included, and then do them.
    pub async fn client_pause(&self, pause: Duration) {
        self.cli(&["CLIENT", "PAUSE", &pause.as_millis().to_string(), "ALL"]).await;
    }
}

#[cfg(test)]
mod tests;
