//! `cargo xtask bench fanout`: what one delivery costs the server, beside what it must cost anybody.

mod floor;
mod loads;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nix::sys::resource::{Resource, getrlimit};

pub(crate) use self::floor::{Writes, run as run_floor};
use self::loads::{IDLE, IDLE_FEW, IDLE_MANY, LOADS, Load};
use self::report::{IdleRounds, Measured};
use crate::programs::{Programs, build, existing};
use crate::report::{judge, keep};
use crate::spec::{Fanout, Idle, Outcome, Phases, Task};
use crate::subject::{Kind, measure};

/// Descriptors a process needs beside its connections.
const SPARE_FILES: usize = 100;

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
        let bystanders = if kind.is_server() { load.bystanders } else { 0 };
        let (connections, pace) = (load.connections, load.pace);
        let phases = Phases { warm_up_ms: measured_ms / 3, measured_ms };
        Task::Fanout { transport: kind.transport(), connections, bystanders, pace, phases }
    }
}

/// Measures and reports; fails when an event is lost or a bar does not hold.
pub(crate) async fn run(args: &FanoutArgs) -> Result<()> {
    check_open_files(args)?;
    let (mut programs, target) = build(args.subjects.iter().any(|kind| kind.is_server()))?;
    programs.baseline = args.baseline.as_deref().map(existing).transpose()?;
    let mut measured = Vec::new();
    for load in args.loads() {
        let mut rounds = Vec::new();
        for round in 1..=args.rounds {
            rounds.push(measure_round(args, &programs, load, round).await?);
        }
        measured.push(Measured { load, rounds });
        println!("{}", measured.last().map(Measured::table).unwrap_or_default());
    }
    let mut idle = IdleRounds::default();
    if args.wants(IDLE) && (args.baseline.is_some() || args.subjects.contains(&Kind::Server)) {
        for round in 1..=args.rounds {
            idle.0.push(measure_idle(args, &programs, round).await?);
        }
        println!("{}", idle.table());
    }
    if args.baseline.is_some() {
        println!("{}\n", report::comparison(&measured, &idle));
    }
    keep(&target, "fanout.json", &report::to_json(&measured, &idle))?;
    judge(&report::verdicts(&measured, &idle))
}

async fn measure_round(args: &FanoutArgs, programs: &Programs, load: &Load, round: u8) -> Result<Vec<(Kind, Fanout)>> {
    let mut figures = Vec::new();
    for kind in args.subjects(round) {
        let what = format!("{} round {round}, {}", load.name, kind.name());
        let subject = kind.start(programs).await?;
        let Outcome::Fanout(one) =
            measure(programs, &subject, &[], args.task(load, kind)).await.context(what.clone())?
        else {
            bail!("{what}: the load client did something else");
        };
        let (cost, events) = (one.cpu_per_million(), one.events);
        eprintln!("{what}: {cost:.3} s CPU per million deliveries, {events} events");
        figures.push((kind, one));
    }
    Ok(figures)
}

/// The floors have no idle connections worth measuring.
async fn measure_idle(args: &FanoutArgs, programs: &Programs, round: u8) -> Result<Vec<(Kind, Idle)>> {
    let mut figures = Vec::new();
    let subjects = args.subjects(round).into_iter();
    for kind in subjects.filter(|kind| matches!(kind, Kind::Server | Kind::Baseline)) {
        let what = format!("{IDLE} round {round}, {}", kind.name());
        let subject = kind.start(programs).await?;
        let outcome = measure(programs, &subject, &[], Task::Idle { few: IDLE_FEW, many: IDLE_MANY }).await;
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
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if limit < needed as u64 {
        bail!(
            "each process may open {limit} files, {needed} are needed: run `ulimit -n {needed}` first, or use --only"
        );
    }
    Ok(())
}
