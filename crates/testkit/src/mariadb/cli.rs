//! The real `mariadb` client, told how to reach one server.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::{PATIENCE, process};

pub(super) const HINT: &str =
    "`apt-get install mariadb-server-core mariadb-client-core`, or let `cargo xtask test` do it";

/// How to reach a server with `mariadb`: by its own socket, where nobody else can answer.
#[derive(Debug, Clone)]
pub(super) struct Cli {
    pub(super) socket: PathBuf,
}

impl process::Probe for Cli {
    const HINT: &'static str = HINT;

    async fn answers(&self, _pid: u32) -> bool {
        self.try_run("", "SELECT 1").await.is_ok()
    }
}

impl Cli {
    /// Runs statements and returns their rows, trimmed: a line each, values apart by tabs.
    ///
    /// # Panics
    /// When one fails, with what it said; when it takes longer than [`PATIENCE`].
    pub(super) async fn run(&self, database: &str, sql: &str) -> String {
        self.try_run(database, sql).await.unwrap_or_else(|said| panic!("{sql}\nfailed: {said}"))
    }

    /// The same, with what it said as the error.
    ///
    /// # Panics
    /// When it takes longer than [`PATIENCE`], or is not installed.
    pub(super) async fn try_run(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut child = self.command(database).spawn().unwrap_or_else(|e| panic!("no `mariadb` ({e}): {HINT}"));
        let mut input = child.stdin.take().expect("piped");
        // Not as an argument: a test may insert more than a command line takes. One that has ended says why.
        let _written = input.write_all(sql.as_bytes()).await;
        drop(input);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("no answer after {PATIENCE:?} to {sql}"));
        let output = output.expect("a child of ours");
        let (said, complaint) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() { Ok(said) } else { Err(complaint) }
    }

    fn command(&self, database: &str) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names", "--protocol=socket"]);
        command.arg("--socket").arg(&self.socket).args(["--default-character-set=utf8mb4", database]);
        command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
