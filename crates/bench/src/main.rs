//! `cargo xtask bench fanout`: what one delivery costs the server, beside what it must cost anybody;
//! `cargo xtask bench cluster`: how fast events go from node to node;
//! `cargo xtask bench webhooks`: what a delivery costs that survives a crash.
//!
//! Server, load client and floors are processes of their own on loopback. Cost is processor time of the subject from
//! `/proc`, the kernel's work for it included; rates and latencies depend on the machine, ratios to the floors hardly.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who ran it")]

mod call;
mod client;
mod clock;
mod cluster;
mod floor;
mod histogram;
mod http;
mod loads;
mod message;
mod procfs;
mod publisher;
mod report;
mod socket;
mod spec;
mod subject;
mod ticker;
mod token;
mod track;
mod webhooks;
mod wire;
mod ws;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser};

use self::floor::Writes;
use self::loads::{IDLE, IDLE_FEW, IDLE_MANY, LOADS, Load};
use self::report::{IdleRounds, Measured, Verdict};
use self::spec::{Fanout, Idle, Outcome, Phases, Task};
use self::subject::{Kind, Programs, Subject};

/// Descriptors a process needs beside its connections.
const SPARE_FILES: usize = 100;

/// Measure, and hold the figures against their bars.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", max_term_width = 100)]
enum Bench {
    /// Fan-out cost against the floors, memory per idle connection, cost of connecting.
    Fanout(FanoutArgs),
    /// Events per second from node to node through one Redis, beside that Redis' own PUBLISH rate, and the latency that
    /// the way adds.
    ///
    /// Events that are published over HTTP at node A and arrive at every client of node B and of A are compared with
    /// bare PUBLISH commands of the same payload size to the same Redis, round by round. All processes run on this
    /// machine and share its processors. Needs redis-server and redis-benchmark (Debian: redis-server, redis-tools);
    /// the figures also go to target/bench/cluster.json.
    Cluster(cluster::ClusterArgs),
    /// Deliveries per second to webhooks, what each costs, how long it takes, and whether a backlog of one webhook slows
    /// the others down; on SQLite and on a MariaDB of the bench's own.
    ///
    /// Each delivery is in the database before its event is answered, and so is its outcome. The floor sends the same
    /// requests to the same receiver over as many connections and keeps nothing. All processes run on this machine and
    /// share its processors. Needs mariadbd and mariadb-install-db for the cases of MariaDB (Debian: mariadb-server);
    /// the figures also go to target/bench/webhooks.json.
    Webhooks(webhooks::WebhooksArgs),
    /// The receiver of webhooks; its orders are a JSON object.
    #[command(hide = true)]
    WebhookReceiver { shape: String },
    /// The load client of webhooks; its orders are a JSON object.
    #[command(hide = true)]
    WebhookClient { orders: String },
    /// What sends deliveries and keeps nothing; its orders are a JSON object.
    #[command(hide = true)]
    WebhookFloor { orders: String },
    /// The floor with one write per frame and socket.
    #[command(hide = true)]
    FloorSingle,
    /// The floor that writes everything waiting for a socket at once.
    #[command(hide = true)]
    FloorPacked,
    /// The load client; its orders are a JSON object.
    #[command(hide = true)]
    LoadClient { spec: String },
}

/// How much to measure.
#[derive(Debug, Args)]
pub(crate) struct FanoutArgs {
    /// Interleaved rounds (server, floors, server, …); the median of their ratios counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Seconds that each run is measured, after a warm-up of a third of that.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Only these loads.
    #[arg(long, value_delimiter = ',', value_parser = loads::names())]
    only: Vec<String>,
    /// Only these subjects; without the server or a floor there are no ratios.
    #[arg(long, value_delimiter = ',', value_enum, default_values = ["server", "floor-single", "floor-packed"])]
    subjects: Vec<Kind>,
    /// Another build of the server to compare with: both are measured in every round, each first in every other one.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Bench::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Fanout(args) => fanout(args),
        Bench::Cluster(args) => cluster::run(args),
        Bench::Webhooks(args) => webhooks::run(args),
        Bench::WebhookReceiver { shape } => webhooks::run_receiver(shape),
        Bench::WebhookClient { orders } => webhooks::run_client(orders),
        Bench::WebhookFloor { orders } => webhooks::run_floor(orders),
        Bench::FloorSingle => floor::run(Writes::Single),
        Bench::FloorPacked => floor::run(Writes::Packed),
        Bench::LoadClient { spec } => client::run(spec),
    }
}

impl FanoutArgs {
    fn wants(&self, load: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == load)
    }

    fn loads(&self) -> impl Iterator<Item = &'static Load> {
        LOADS.iter().filter(|load| self.wants(load.name))
    }

    /// Who takes part in a round, in order.
    fn subjects(&self, round: u8) -> Vec<Kind> {
        let mut subjects = self.subjects.clone();
        if self.baseline.is_some() {
            let server = subjects.iter().position(|kind| *kind == Kind::Server).map_or(0, |at| at + 1);
            subjects.insert(server, Kind::Baseline);
            if server > 0 && round.is_multiple_of(2) {
                subjects.swap(server - 1, server);
            }
        }
        subjects
    }

    fn task(&self, load: &Load, kind: Kind) -> Task {
        let measured_ms = u64::from(self.seconds) * 1_000;
        let bystanders = if matches!(kind, Kind::Server | Kind::Baseline) { load.bystanders } else { 0 };
        let (connections, pace) = (load.connections, load.pace);
        let phases = Phases { warm_up_ms: measured_ms / 3, measured_ms };
        Task::Fanout { connections, bystanders, pace, phases }
    }
}

fn fanout(args: &FanoutArgs) -> Result<()> {
    check_open_files(args)?;
    let (mut programs, target) = build(args.subjects.contains(&Kind::Server))?;
    programs.baseline = args.baseline.as_deref().map(existing).transpose()?;
    let mut measured = Vec::new();
    for load in args.loads() {
        let rounds =
            (1..=args.rounds).map(|round| measure_round(args, &programs, load, round)).collect::<Result<_>>()?;
        measured.push(Measured { load, rounds });
        println!("{}", measured.last().map(Measured::table).unwrap_or_default());
    }
    let mut idle = IdleRounds::default();
    if args.wants(IDLE) && (args.baseline.is_some() || args.subjects.contains(&Kind::Server)) {
        let rounds = (1..=args.rounds).map(|round| measure_idle(args, &programs, round));
        idle = IdleRounds(rounds.collect::<Result<_>>()?);
        println!("{}", idle.table());
    }
    if args.baseline.is_some() {
        println!("{}\n", report::comparison(&measured, &idle));
    }
    keep(&target, "fanout.json", &report::to_json(&measured, &idle))?;
    judge(&report::verdicts(&measured, &idle))
}

/// The absolute path of a program that somebody named.
fn existing(program: &Path) -> Result<PathBuf> {
    program.canonicalize().with_context(|| format!("no program at {}", program.display()))
}

/// Shows verdicts and fails when one of them does.
fn judge(verdicts: &[Verdict]) -> Result<()> {
    for verdict in verdicts {
        println!("{}", verdict.line());
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.holds()).count();
    if failed > 0 {
        bail!("{failed} of {} bars do not hold", verdicts.len());
    }
    Ok(())
}

/// Writes figures for programs into `target/bench`.
fn keep(target: &Path, name: &str, figures: &serde_json::Value) -> Result<()> {
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), serde_json::to_string_pretty(figures)?).context("cannot keep the figures")
}

fn measure_round(args: &FanoutArgs, programs: &Programs, load: &Load, round: u8) -> Result<Vec<(Kind, Fanout)>> {
    let mut figures = Vec::new();
    for kind in args.subjects(round) {
        let what = format!("{} round {round}, {}", load.name, kind.name());
        let subject = Subject::start(kind, programs)?;
        let Outcome::Fanout(one) = subject.measure(programs, args.task(load, kind)).context(what.clone())? else {
            bail!("{what}: the load client did something else");
        };
        let (cost, events) = (one.cpu_per_million(), one.events);
        eprintln!("{what}: {cost:.3} s CPU per million deliveries, {events} events");
        figures.push((kind, one));
    }
    Ok(figures)
}

/// The floors have no idle connections worth measuring.
fn measure_idle(args: &FanoutArgs, programs: &Programs, round: u8) -> Result<Vec<(Kind, Idle)>> {
    let mut figures = Vec::new();
    let subjects = args.subjects(round).into_iter();
    for kind in subjects.filter(|kind| matches!(kind, Kind::Server | Kind::Baseline)) {
        let what = format!("{IDLE} round {round}, {}", kind.name());
        let subject = Subject::start(kind, programs)?;
        let outcome = subject.measure(programs, Task::Idle { few: IDLE_FEW, many: IDLE_MANY });
        let Outcome::Idle(idle) = outcome.context(what.clone())? else {
            bail!("{what}: the load client did something else");
        };
        let Idle { bytes_per_connection: bytes, cpu_us_per_connect: micros, .. } = &idle;
        eprintln!("{what}: {bytes:.0} bytes per connection, {micros:.1} µs CPU per connect");
        figures.push((kind, idle));
    }
    Ok(figures)
}

fn check_open_files(args: &FanoutArgs) -> Result<()> {
    let crowds = args.loads().map(|load| load.connections + load.bystanders);
    let idle = args.wants(IDLE).then_some(IDLE_MANY);
    let needed = crowds.chain(idle).max().unwrap_or(0) + SPARE_FILES;
    let limit = procfs::open_files_limit()?;
    if limit < needed {
        bail!(
            "each process may open {limit} files, {needed} are needed: run `ulimit -n {needed}` first, or use --only"
        );
    }
    Ok(())
}

/// Builds the server in the release profile, as we are built ourselves: an unoptimised floor would flatter it.
/// Returns the programs and cargo's target folder.
fn build(with_server: bool) -> Result<(Programs, PathBuf)> {
    let chores = std::env::current_exe().context("this program cannot find itself")?;
    let release = chores.parent().context("a program is in a folder")?;
    let target = release.parent().context("cargo builds into a folder of its target folder")?.to_path_buf();
    if with_server {
        let mut cargo = cargo();
        cargo.args(["build", "--release", "--package", "hookswitch-server", "--target-dir"]).arg(&target);
        if !cargo.status().context("cannot start cargo")?.success() {
            bail!("the server cannot be built");
        }
    }
    let server = target.join("release").join(format!("hookswitch{}", std::env::consts::EXE_SUFFIX));
    Ok((Programs { server, baseline: None, chores }, target))
}

/// The cargo that runs us, or the one on the path when the program is started by hand.
#[expect(clippy::disallowed_methods, reason = "cargo names itself through the environment")]
fn cargo() -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}
