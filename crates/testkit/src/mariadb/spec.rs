//! How to start a MariaDB server.

use std::sync::Arc;

use tempfile::TempDir;

use super::cli::Cli;
use super::seed::{self, PASSWORD, USER};
use super::server::MariaDbServer;
use crate::process::{Launch, Process};

/// How to start a MariaDB server: its own settings.
#[derive(Debug, Clone, Default)]
pub struct MariaDbSpec {
    settings: Vec<String>,
}

impl MariaDbSpec {
    /// A small server on loopback and a free port, which does not wait for its disk: what it committed survives its
    /// own end, though not the machine's.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this setting of `my.cnf`: `innodb-lock-wait-timeout` and `1`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push(format!("--{name}={value}"));
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed or does not come up; its log is shown.
    pub async fn start(self) -> MariaDbServer {
        let process = Process::start(|port| self.launch(port)).await;
        let login = format!(
            "CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'127.0.0.1'"
        );
        process.cli().run("", &login).await;
        MariaDbServer::new(process)
    }

    fn launch(&self, port: u16) -> Launch<Cli> {
        let dir = Arc::new(TempDir::new().expect("a temporary directory"));
        let (data, socket) = (dir.path().join("data"), dir.path().join("s"));
        seed::plant(&data);
        let mut args = vec!["--no-defaults".to_owned(), seed::user()];
        args.extend([format!("--datadir={}", data.display()), format!("--socket={}", socket.display())]);
        args.push(format!("--pid-file={}", dir.path().join("pid").display()));
        args.extend([format!("--port={port}"), "--bind-address=127.0.0.1".to_owned()]);
        let small = ["skip-name-resolve", "innodb-buffer-pool-size=64M", "innodb-log-file-size=4M"];
        let fast = ["innodb-flush-log-at-trx-commit=2", "performance-schema=0"];
        args.extend(small.iter().chain(&fast).map(|setting| format!("--{setting}")));
        args.extend(self.settings.iter().cloned());
        Launch { program: "mariadbd", args, dir, cli: Cli { socket } }
    }
}

impl MariaDbServer {
    /// One with the usual settings.
    ///
    /// # Panics
    /// When it is not installed or does not come up; its log is shown.
    pub async fn start() -> Self {
        MariaDbSpec::new().start().await
    }
}
