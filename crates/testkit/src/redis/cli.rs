//! The real `redis-cli`, told how to reach one server.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::PATIENCE;

/// How to reach a server with `redis-cli`.
#[derive(Debug, Clone, Default)]
pub(super) struct Cli {
    pub(super) port: u16,
    pub(super) password: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    /// Follows redirections of a cluster.
    pub(super) follows: bool,
}

impl Cli {
    pub(super) fn new(port: u16) -> Self {
        Self { port, ..Self::default() }
    }

    /// Runs one command and returns its raw output, trimmed.
    ///
    /// # Panics
    /// When it fails, with what it said; when it takes longer than [`PATIENCE`].
    pub(super) async fn run(&self, args: &[&str]) -> String {
        match self.try_run(args).await {
            Ok(output) => output,
            Err(said) => panic!("`redis-cli {}` on port {} failed: {said}", args.join(" "), self.port),
        }
    }

    /// The same, with what it said as the error.
    ///
    /// # Panics
    /// When it takes longer than [`PATIENCE`], or is not installed.
    pub(super) async fn try_run(&self, args: &[&str]) -> Result<String, String> {
        let output = tokio::time::timeout(PATIENCE, self.command().args(args).output()).await;
        let output = output.unwrap_or_else(|_| {
            panic!("`redis-cli {}` on port {} has no answer after {PATIENCE:?}", args.join(" "), self.port)
        });
        let output = output.unwrap_or_else(|e| panic!("{}", missing("redis-cli", &e)));
        let (said, complaint) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() { Ok(said) } else { Err(format!("{complaint} {said}").trim().to_owned()) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-cli");
        // -e: an error of the server is an error of the command.
        command.args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(password) = &self.password {
            command.env("REDISCLI_AUTH", password);
        }
        if let Some(ca_file) = &self.ca_file {
            command.arg("--tls").arg("--cacert").arg(ca_file);
        }
        if self.follows {
            command.arg("-c");
        }
        command.kill_on_drop(true).stdin(Stdio::null());
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

impl crate::process::Probe for Cli {
    const HINT: &'static str = HINT;

    async fn answers(&self, pid: u32) -> bool {
        let info = self.try_run(&["INFO", "server"]).await;
        info.is_ok_and(|info| field(&info, "process_id") == Some(pid.to_string().as_str()))
    }
}

const HINT: &str = "`apt-get install redis-server redis-sentinel redis-tools openssl`, or let `cargo xtask test` do it";

/// What to say when a program cannot be started.
pub(super) fn missing(program: &str, error: &std::io::Error) -> String {
    format!("`{program}` does not start ({error}): {HINT}")
}

/// The value of `name:value` in an answer of `INFO` or `CLUSTER INFO`.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Server\r\nprocess_id_of:1\r\nprocess_id:42\r\n";
        assert_eq!(field(info, "process_id"), Some("42"));
        assert_eq!(field(info, "process"), None);
    }

    #[tokio::test]
    #[should_panic(expected = "Could not connect to Redis")]
    async fn a_failure_is_told() {
        let port = crate::port::HeldPort::take();
        Cli::new(port.number()).run(&["PING"]).await;
    }
}
