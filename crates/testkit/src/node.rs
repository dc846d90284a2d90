//! The real server as a child process: started, watched, signalled, killed and started again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::process::kill_and_wait;
use crate::{ApiClient, PATIENCE, eventually_some, proc};

/// Signs the tokens of every node in a test; nobody else's.
const TEST_SECRET: &str = "a secret for tests only, of decent length";
const LISTENING: &str = "listening on http://";
/// How much of the log a failing test shows.
const LOG_TAIL_BYTES: usize = 20_000;

/// How to start a node: the program, its data directory, its environment.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    program: PathBuf,
    dir: Arc<TempDir>,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

/// A running (or killed) node; killed when dropped. Its log is shown when the test panics.
#[derive(Debug)]
pub struct NodeProcess {
    spec: NodeSpec,
    child: Child,
    pid: u32,
    addr: String,
}

/// How a command-line call ended.
#[derive(Debug, Clone)]
pub struct CliOutput {
    /// The exit code; nothing when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl NodeSpec {
    /// `program serve` on loopback and a free port, with its database file in a fresh directory.
    /// Nothing of the test's own environment reaches it.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let database = format!("sqlite://{}/hookswitch.db", dir.path().display());
        Self { program: program.into(), dir: Arc::new(dir), env: Vec::new(), args: vec!["serve".to_owned()] }
            .env("JWT_SECRET", TEST_SECRET)
            .env("SERVER_HOST", "127.0.0.1")
            .env("SERVER_PORT", "0")
            .env("DATABASE_URL", &database)
            // On every machine more than one shard.
            .env("WS_THREADS", "2")
    }

    /// The same, allowed to call webhooks on loopback over plain http.
    #[must_use]
    pub fn with_loopback_webhooks(self) -> Self {
        self.env("WEBHOOK_ALLOW_HTTP", "true").env("WEBHOOK_ALLOW_CIDRS", "127.0.0.0/8")
    }

    /// The same with this variable set.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without this variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.retain(|(n, _)| n != name);
        self
    }

    /// The same with other arguments than `serve`.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|&a| a.to_owned()).collect();
        self
    }

    /// Where it keeps its data.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it and waits until it says where it listens.
    ///
    /// # Panics
    /// When it ends or says nothing within 30 s; the log is shown.
    pub async fn start(self) -> NodeProcess {
        let log = self.open_log();
        self.start_logging_to(log.into()).await
    }

    /// The same, with a pipe for its log that nobody reads; [`NodeProcess::log`] has its standard output only.
    ///
    /// # Panics
    /// As [`NodeSpec::start`].
    pub async fn start_with_unread_log(self) -> NodeProcess {
        self.start_logging_to(Stdio::piped()).await
    }

    async fn start_logging_to(self, standard_error: Stdio) -> NodeProcess {
        let log_path = self.log_path();
        let already = std::fs::metadata(&log_path).map_or(0, |meta| meta.len()) as usize;
        let mut command = self.command();
        command.stdout(self.open_log()).stderr(standard_error);
        let child = command.spawn().unwrap_or_else(|e| panic!("{} does not start: {e}", self.program.display()));
        let pid = child.id().expect("not yet awaited");
        let mut node = NodeProcess { spec: self, child, pid, addr: String::new() };
        let addr = eventually_some("the node says where it listens", Duration::from_secs(30), || {
            let ended = node.child.try_wait().expect("a child of ours");
            let found = node.log().get(already..).and_then(listening_on);
            assert!(found.is_some() || ended.is_none(), "the node ended at start: {ended:?}");
            async move { found }
        });
        node.addr = addr.await;
        node
    }

    /// Runs it to its end, for commands that end by themselves.
    ///
    /// # Panics
    /// When it runs longer than 15 s.
    pub async fn run(&self) -> CliOutput {
        let output = tokio::time::timeout(PATIENCE, self.command().output()).await;
        let output = output.expect("the command ends in time").expect("the command starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        CliOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().current_dir(self.dir.path()).kill_on_drop(true).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("node.log")
    }

    fn open_log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log can be written")
    }
}

fn listening_on(log: &str) -> Option<String> {
    let rest = log.split_once(LISTENING)?.1;
    let addr: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:[]".contains(*c)).collect();
    // The line may be half written; what follows the port proves that it is whole.
    (rest.len() > addr.len()).then_some(addr)
}

impl NodeProcess {
    /// `host:port`.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// What its tokens are signed with.
    pub fn secret(&self) -> &str {
        self.spec.env.iter().find(|(name, _)| name == "JWT_SECRET").map_or("", |(_, value)| value)
    }

    /// A caller of its API without a token.
    pub fn api(&self) -> ApiClient {
        ApiClient::new(&self.addr)
    }

    /// How it was started.
    pub fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// Everything it has printed, over all its lives.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.spec.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Everything it has printed, once that holds `text`: what is logged comes a moment later.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn logged(&self, text: &str) -> String {
        eventually_some(&format!("the log says {text:?}"), PATIENCE, || {
            let log = self.log();
            async move { log.contains(text).then_some(log) }
        })
        .await
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Resident memory, in bytes; 0 when it is gone.
    pub fn resident_bytes(&self) -> u64 {
        proc::resident_bytes(self.pid).unwrap_or_default()
    }

    /// User and system time used so far; zero when it is gone.
    pub fn cpu_time(&self) -> Duration {
        proc::cpu_time(self.pid).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid.cast_signed());
        kill(pid, signal).expect("a child that has not been awaited yet");
    }

    /// Asks it to end, as a service manager does (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Asks it to end, as Ctrl-C does (SIGINT).
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// Tells it that its terminal is gone (SIGHUP).
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Stops it without anybody noticing (SIGSTOP); [`NodeProcess::kill9`] ends it even so.
    pub fn suspend(&self) {
        self.signal(Signal::SIGSTOP);
        proc::await_stopped(self.pid);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within `deadline`.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let ended = tokio::time::timeout(deadline, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("the node still runs after {deadline:?}")).expect("a child of ours")
    }

    /// Kills it without a word (`kill -9`) and waits until it is gone.
    pub async fn kill9(&mut self) {
        self.child.kill().await.expect("a child of ours");
    }

    /// Starts it again on the same data; the port is another.
    ///
    /// # Panics
    /// As [`NodeSpec::start`] does.
    pub async fn restart(mut self) -> Self {
        if self.child.try_wait().expect("a child of ours").is_none() {
            self.kill9().await;
        }
        let spec = self.spec.clone();
        drop(self);
        spec.start().await
    }
}

impl Drop for NodeProcess {
    #[expect(clippy::print_stderr, reason = "a failing test shows what the node had to say")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.ceil_char_boundary(log.len().saturating_sub(LOG_TAIL_BYTES));
            eprintln!("---- log of node {} ----\n{}\n---- end of log ----", self.pid, &log[from..]);
        }
        kill_and_wait(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> NodeSpec {
        NodeSpec::new("/bin/sh").args(&["-c", text])
    }

    #[tokio::test]
    async fn the_address_is_read_from_the_log_and_again_after_a_restart() {
        let text = "echo hello; echo \"listening on http://127.0.0.1:$(cat port 2>/dev/null || echo 81)\" >&2; \
                    echo 82 > port; exec sleep 60";
        let node = script(text).env("PATH", "/usr/bin:/bin").start().await;
        assert_eq!(node.addr(), "127.0.0.1:81");
        let node = node.restart().await;
        assert_eq!(node.addr(), "127.0.0.1:82");
        assert!(node.resident_bytes() > 0);
    }

    #[tokio::test]
    async fn a_signal_reaches_it_and_its_exit_code_is_seen() {
        let text = "trap 'exit 7' TERM; echo listening on http://127.0.0.1:1; while :; do :; done";
        let mut node = script(text).start().await;
        node.terminate();
        assert_eq!(node.wait(PATIENCE).await.code(), Some(7));
    }

    #[tokio::test]
    async fn a_command_runs_to_its_end_in_a_clean_environment() {
        let output = script("echo $HOME-$JWT_SECRET; echo oops >&2; exit 3").run().await;
        assert_eq!((output.code, output.stderr.as_str()), (Some(3), "oops\n"));
        assert_eq!(output.stdout, format!("-{TEST_SECRET}\n"));
    }

    #[test]
    fn a_half_written_line_is_not_believed() {
        assert_eq!(listening_on("x listening on http://127.0.0.1:80"), None);
        assert_eq!(listening_on("x listening on http://127.0.0.1:8000\n").as_deref(), Some("127.0.0.1:8000"));
    }
}
