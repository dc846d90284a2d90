//! What is measured: the server or a floor, as a child process on a free loopback port.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hookswitch_testkit::{NodeProcess, NodeSpec, proc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use super::programs::Programs;
use super::spec::{Outcome, Spec, Task, Transport};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Server,
    /// The same with clients that read server-sent events.
    ServerStreams,
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
            Self::ServerStreams => "server-streams",
            Self::Baseline => "baseline",
            Self::FloorSingle => "floor-single",
            Self::FloorPacked => "floor-packed",
        }
    }

    /// Whether it is a server of ours, which knows what somebody subscribed to.
    pub(crate) fn is_server(self) -> bool {
        matches!(self, Self::Server | Self::ServerStreams | Self::Baseline)
    }

    /// How clients connect to it.
    pub(crate) fn transport(self) -> Transport {
        if self == Self::ServerStreams { Transport::EventStream } else { Transport::WebSocket }
    }

    /// Starts a fresh one and waits until it listens.
    pub(crate) async fn start(self, programs: &Programs) -> Result<NodeProcess> {
        let spec = match self {
            Self::Server | Self::ServerStreams => server(&programs.server),
            Self::Baseline => server(programs.baseline.as_deref().context("no --baseline was named")?),
            floor => chore(programs, &[floor.name()]),
        };
        Ok(spec.start().await)
    }
}

/// A server with as many shards as the machine suggests, which tests fix.
pub(crate) fn server(program: &Path) -> NodeSpec {
    NodeSpec::new(program).without_env("WS_THREADS")
}

/// A hidden chore of this program that serves until it is killed.
pub(crate) fn chore(programs: &Programs, args: &[&str]) -> NodeSpec {
    NodeSpec::new(&programs.chores).args(args)
}

/// Where a subject listens.
pub(crate) fn address(subject: &NodeProcess) -> Result<SocketAddr> {
    subject.addr().parse().with_context(|| format!("`{}` is no address", subject.addr()))
}

/// Lets a load client of its own process do `task` to a subject, while the processor time of `others` is read as well.
pub(crate) async fn measure(programs: &Programs, subject: &NodeProcess, others: &[u32], task: Task) -> Result<Outcome> {
    let pids = std::iter::once(subject.pid()).chain(others.iter().copied()).collect();
    let spec = Spec { address: address(subject)?, pids, secret: subject.secret().to_owned(), task };
    order(programs, "load-client", &spec).await
}

/// Lets a hidden chore of this program, in a process of its own, do what it is told, and returns its report.
pub(crate) async fn order<R: DeserializeOwned>(programs: &Programs, chore: &str, orders: &impl Serialize) -> Result<R> {
    let output = Command::new(&programs.chores)
        .args([chore, &serde_json::to_string(orders)?])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot start the {chore}"))?;
    if !output.status.success() {
        bail!("the {chore} failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("the report of the {chore} is not readable"))
}

/// User and system time that each process has used so far.
pub(crate) fn cpu_times(pids: &[u32]) -> Result<Vec<Duration>> {
    pids.iter().map(|pid| proc::cpu_time(*pid).with_context(|| format!("process {pid} is gone"))).collect()
}
