//! What is measured: the server or a floor, as a child process on a free loopback port.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::programs::Programs;
use super::spec::{Outcome, Spec, Task};

/// The key of one bench's tokens; it signs nothing else.
pub(crate) const SECRET: &str = "a-secret-of-the-bench-that-signs-nothing-else";
/// How a subject says where it is.
const ANNOUNCEMENT: &str = "listening on http://";
/// Longest wait for the announcement.
const START_DEADLINE: Duration = Duration::from_secs(20);

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Server,
    /// Another build of the server, to compare with; only with `--baseline`.
    #[value(skip)]
    Baseline,
    FloorSingle,
    FloorPacked,
}

impl Kind {
    /// As it is called on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Baseline => "baseline",
            Self::FloorSingle => "floor-single",
            Self::FloorPacked => "floor-packed",
        }
    }
}

/// A running subject; ends with this value.
#[derive(Debug)]
pub(crate) struct Subject {
    child: Child,
    address: SocketAddr,
    /// Where the server keeps its database.
    _folder: TempDir,
}

impl Subject {
    /// Starts a fresh one and waits until it listens.
    pub(crate) fn start(kind: Kind, programs: &Programs) -> Result<Self> {
        match kind {
            Kind::Server => Self::start_server(programs, &[]),
            Kind::Baseline => {
                let program = programs.baseline.as_deref().context("no --baseline was named")?;
                Self::start_program(kind.name(), program, &[])
            }
            floor => Self::start_chore(programs, &[floor.name()]),
        }
    }

    /// Starts a server with further variables, and waits until it listens.
    pub(crate) fn start_server(programs: &Programs, env: &[(&str, &str)]) -> Result<Self> {
        Self::start_program(Kind::Server.name(), &programs.server, env)
    }

    fn start_program(name: &str, program: &Path, env: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let mut command = server(program, folder.path());
        command.arg("serve").envs(env.iter().copied());
        Self::spawn(name, command, folder)
    }

    /// Starts a hidden chore of this program, and waits until it listens.
    pub(crate) fn start_chore(programs: &Programs, args: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let mut command = Command::new(&programs.chores);
        command.args(args);
        Self::spawn(args[0], command, folder)
    }

    fn spawn(name: &str, mut command: Command, folder: TempDir) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the {name}"))?;
        match wait_for_address(&mut child) {
            Ok(address) => Ok(Self { child, address, _folder: folder }),
            Err(error) => {
                end(&mut child);
                Err(error.context(format!("the {name} did not come up")))
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets a load client of its own process do `task` to this subject.
    pub(crate) fn measure(&self, programs: &Programs, task: Task) -> Result<Outcome> {
        self.measure_with(programs, task, &[])
    }

    /// The same, while the processor time of `others` is read as well.
    pub(crate) fn measure_with(&self, programs: &Programs, task: Task, others: &[u32]) -> Result<Outcome> {
        let pids = std::iter::once(self.pid()).chain(others.iter().copied()).collect();
        let spec = Spec { address: self.address, pids, secret: SECRET.to_owned(), task };
        order(programs, "load-client", &spec)
    }
}

/// Lets a hidden chore of this program, in a process of its own, do what it is told, and returns its report.
pub(crate) fn order<R: DeserializeOwned>(programs: &Programs, chore: &str, orders: &impl Serialize) -> Result<R> {
    let output = Command::new(&programs.chores)
        .args([chore, &serde_json::to_string(orders)?])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start the {chore}"))?;
    if !output.status.success() {
        bail!("the {chore} failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("the report of the {chore} is not readable"))
}

impl Drop for Subject {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The server on its embedded default, with nothing of our own environment but what finding programs takes.
pub(crate) fn server(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("JWT_SECRET", SECRET)
        .env("SERVER_HOST", "127.0.0.1")
        .env("SERVER_PORT", "0")
        .env("DATABASE_URL", format!("sqlite://{}", folder.join("bench.db").display()));
    command
}

fn wait_for_address(child: &mut Child) -> Result<SocketAddr> {
    let (sender, lines) = sync_channel(64);
    let stdout = child.stdout.take().context("stdout is piped")?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    forward(stdout, sender.clone());
    forward(stderr, sender);
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(START_DEADLINE) {
            Ok(line) => {
                if let Some(address) = announced(&line) {
                    return Ok(address);
                }
                seen.push(line);
            }
            Err(_) => return Err(anyhow!("it never said `{ANNOUNCEMENT}…`; it said:\n{}", seen.join("\n"))),
        }
    }
}

/// Reads a stream to its end, so that the child never waits for us; lines nobody takes any more are dropped.
fn forward(stream: impl Read + Send + 'static, lines: SyncSender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // After the announcement nobody listens: the error says just that.
            let _ = lines.send(line);
        }
    });
}

fn announced(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(ANNOUNCEMENT)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Kills a child and waits until it is gone.
pub(crate) fn end(child: &mut Child) {
    // Fails only when the child has ended already, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::announced;

    #[test]
    fn the_address_is_found_in_plain_lines_and_in_log_lines() {
        for line in ["listening on http://127.0.0.1:4567", "INFO x: listening on http://127.0.0.1:4567 shards=2"] {
            assert_eq!(announced(line), Some(([127, 0, 0, 1], 4567).into()));
        }
        assert_eq!(announced("starting"), None);
    }
}
