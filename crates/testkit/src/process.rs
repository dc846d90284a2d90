//! One server process of a test: started on a free port, probed, signalled, killed and started again.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::port::HeldPort;
use crate::wait::STEP;
use crate::{PATIENCE, proc};

/// How often another port is tried.
const ATTEMPTS: u32 = 5;
const LOG: &str = "server.log";
/// How much of the log a failing test shows.
const LOG_TAIL_BYTES: usize = 8_000;

/// How to tell that a server is there.
pub(crate) trait Probe: Clone + std::fmt::Debug {
    /// How to get the program where it is missing.
    const HINT: &'static str;

    /// Whether the one that answers on the port is this process, and not a stranger.
    async fn answers(&self, pid: u32) -> bool;
}

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Launch<P> {
    pub(crate) program: &'static str,
    pub(crate) args: Vec<String>,
    /// Where it runs, writes and logs.
    pub(crate) dir: Arc<TempDir>,
    /// How to ask it whether it is there.
    pub(crate) cli: P,
}

/// A running (or killed) process; killed and reaped when dropped. Its log is shown when the test panics.
#[derive(Debug)]
pub(crate) struct Process<P: Probe> {
    launch: Launch<P>,
    child: Child,
    pid: u32,
    // Given back after the child has ended.
    port: HeldPort,
}

impl<P: Probe> Process<P> {
    /// Starts what `launch` makes of a free port, and waits until this very process answers there.
    ///
    /// # Panics
    /// When it is not installed or does not come up, on several ports; what it logged is told.
    pub(crate) async fn start(launch: impl Fn(u16) -> Launch<P>) -> Self {
        let mut said = String::new();
        for _attempt in 0..ATTEMPTS {
            let port = HeldPort::take();
            let launch = launch(port.number());
            let (child, pid) = spawn(&launch);
            let mut process = Self { launch, child, pid, port };
            match process.come_up().await {
                Ok(()) => return process,
                Err(log) => said = log,
            }
        }
        panic!("no start on {ATTEMPTS} ports: {said}")
    }

    async fn come_up(&mut self) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while !self.launch.cli.answers(self.pid).await {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return Err(format!("{} ended at start ({status}):\n{}", self.launch.program, self.log()));
            }
            assert!(Instant::now() < end, "{} does not answer within {PATIENCE:?}", self.launch.program);
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    }

    pub(crate) fn cli(&self) -> &P {
        &self.launch.cli
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn dir(&self) -> &Path {
        self.launch.dir.path()
    }

    /// Everything it has printed, over all its lives.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.dir().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // Once it is reaped, its process id may be a stranger's.
        let pid = self.child.id().unwrap_or_else(|| panic!("{signal} for a server that is dead"));
        kill(Pid::from_raw(pid.cast_signed()), signal).expect("a child that has not been awaited yet");
    }

    /// Stops all of it (SIGSTOP).
    pub(crate) fn suspend(&self) {
        self.signal(Signal::SIGSTOP);
        self.child.id().map(proc::await_stopped).expect("not awaited yet");
    }

    /// Kills it without a word and waits until it is gone. Nothing happens to one that is gone already.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("a child of ours");
    }

    /// Starts it again on the same port and in the same directory, killed before if it still runs.
    ///
    /// # Panics
    /// When it does not come up.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        let (child, pid) = spawn(&self.launch);
        (self.child, self.pid) = (child, pid);
        self.come_up().await.unwrap_or_else(|said| panic!("no restart: {said}"));
    }
}

fn spawn<P: Probe>(launch: &Launch<P>) -> (Child, u32) {
    let log = open_log(launch.dir.path());
    let mut command = Command::new(launch.program);
    command.args(&launch.args).current_dir(launch.dir.path()).kill_on_drop(true).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a second handle")).stderr(log);
    let child = command.spawn().unwrap_or_else(|e| panic!("`{}` does not start ({e}): {}", launch.program, P::HINT));
    let pid = child.id().expect("not yet awaited");
    (child, pid)
}

fn open_log(dir: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(dir.join(LOG)).expect("the log can be written")
}

impl<P: Probe> Drop for Process<P> {
    #[expect(clippy::print_stderr, reason = "a failing test shows what its servers had to say")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.ceil_char_boundary(log.len().saturating_sub(LOG_TAIL_BYTES));
            let (program, port) = (self.launch.program, self.port());
            eprintln!("---- log of {program} on port {port} ----\n{}\n---- end of log ----", &log[from..]);
        }
        kill_and_wait(&mut self.child);
    }
}

/// A child is gone before its directory goes, which it may be writing to. A killed process ends at once.
pub(crate) fn kill_and_wait(child: &mut Child) {
    if child.start_kill().is_ok() {
        while matches!(child.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
    }
}
