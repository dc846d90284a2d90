//! `cargo xtask bench webhooks`: what a delivery costs that survives a crash.
//!
//! Server, database, receiver, load client and floor are processes of their own on loopback. Full speed is bounded by
//! what is on the way, so that the server is never asked for more than it delivers. In each round the floor sends the
//! same requests to a receiver of the same kind, so that whatever else the machine does hits both sides of a ratio.

mod cases;
mod client;
mod database;
mod floor;
mod progress;
mod receiver;
mod report;
mod spec;
mod stage;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use self::cases::{CASES, Case, IN_FLIGHT, Kind};
use self::database::{Engine, look_for_mariadb};
use self::report::{Measured, Round};
use self::spec::{Delivered, FloorOrders};
use self::stage::{Hosts, RECEIVER, Stage};
use crate::programs::{Programs, build, existing};
use crate::report::{judge, keep};
use crate::spec::Phases;
use crate::subject::{address, chore, order};

pub(super) use self::client::run as run_client;
pub(super) use self::floor::run as run_floor;
pub(super) use self::receiver::run as run_receiver;

/// The hidden chore.
const FLOOR: &str = "webhook-floor";
/// Beside a backlog a round is so many short ones: what else the machine does changes from second to second, and the two
/// rates that are compared are not measured at the same time.
const TURNS: u8 = 3;
/// The backlog with `--quick`.
const QUICK_BACKLOG: u32 = 20_000;

/// How much to measure.
#[derive(Debug, Args)]
pub(crate) struct WebhooksArgs {
    /// Rounds of each case (server, floor, server, …); medians count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Seconds that each run is measured, after a warm-up of a third of that.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=300))]
    seconds: u16,
    /// Deliveries that wait for the receiver that never answers.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    backlog: u32,
    /// One round of two seconds and a backlog of 20,000: whether it works, not how fast it is.
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "backlog"])]
    quick: bool,
    /// Only these cases or groups of cases.
    #[arg(long, value_delimiter = ',', value_parser = cases::words())]
    only: Vec<String>,
    /// All webhooks at one host and port, as with a popular service, instead of each at a port of its own.
    #[arg(long)]
    one_host: bool,
    /// Measure this server instead of building one.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

impl WebhooksArgs {
    fn rounds(&self) -> u8 {
        if self.quick { 1 } else { self.rounds }
    }

    fn backlog(&self) -> u32 {
        if self.quick { QUICK_BACKLOG } else { self.backlog }
    }

    fn phases(&self, turns: u8) -> Phases {
        let measured_ms = if self.quick { 2_000 } else { u64::from(self.seconds) * 1_000 } / u64::from(turns);
        Phases { warm_up_ms: measured_ms / 3, measured_ms }
    }

    async fn stage<'a>(&self, programs: &'a Programs, case: &Case) -> Result<Stage<'a>> {
        let hosts = if self.one_host { Hosts::Shared } else { Hosts::Own };
        Stage::start(programs, case.engine, case.shape, hosts).await
    }

    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        CASES.iter().filter(|case| case.is_meant(&self.only))
    }
}

/// Measures and reports; fails when a delivery was lost or came twice, or when a backlog slows the others down.
pub(crate) async fn run(args: &WebhooksArgs) -> Result<()> {
    if args.cases().any(|case| case.engine == Engine::MariaDb) {
        look_for_mariadb()?;
    }
    let (mut programs, target) = build(args.server.is_none())?;
    if let Some(server) = &args.server {
        programs.server = existing(server)?;
    }
    let mut measured = Vec::new();
    for case in args.cases() {
        let one = measure(args, &programs, case).await.context(case.name)?;
        println!("{}", one.table());
        measured.push(one);
        // Kept after each case: the whole takes long, and what was measured stays when a later one fails.
        keep(&target, "webhooks.json", &report::to_json(&measured))?;
    }
    for line in [Engine::Sqlite, Engine::MariaDb].into_iter().filter_map(|engine| report::split(&measured, engine)) {
        println!("{line}");
    }
    println!();
    judge(&report::verdicts(&measured))
}

async fn measure(args: &WebhooksArgs, programs: &Programs, case: &'static Case) -> Result<Measured> {
    if case.kind == Kind::Backlog {
        return measure_backlog(args, programs, case).await;
    }
    let mut rounds = Vec::new();
    for number in 1..=u16::from(args.rounds()) {
        let round = measure_round(args, programs, case, number).await;
        rounds.push(round.with_context(|| format!("round {number}"))?);
    }
    Ok(Measured { case, rounds, filled: None })
}

async fn measure_round(args: &WebhooksArgs, programs: &Programs, case: &Case, number: u16) -> Result<Round> {
    let server = args.stage(programs, case).await?.deliver(case.publishing, args.phases(1)).await?;
    tell(case, number, "server", &server);
    let beside = match case.kind {
        Kind::Full => Some(measure_floor(programs, case, args.phases(1)).await?),
        Kind::Paced | Kind::Backlog => None,
    };
    if let Some(floor) = &beside {
        tell(case, number, "floor", floor);
    }
    Ok(Round { server, beside })
}

/// Two servers, of which one has the backlog, take turns: filling takes too long for every round to begin with it.
async fn measure_backlog(args: &WebhooksArgs, programs: &Programs, case: &'static Case) -> Result<Measured> {
    let mut without = args.stage(programs, case).await?;
    let mut with = args.stage(programs, case).await?;
    eprintln!("{}: filling", case.name);
    let filled = Some(with.fill(args.backlog()).await?);
    let mut rounds = Vec::new();
    for number in 1..=u16::from(args.rounds()) * u16::from(TURNS) {
        // Both grow from round to round: who is first in one is second in the next.
        let (server, beside) = if number % 2 == 1 {
            let beside = take_turn(args, &mut without, case, number, "without a backlog").await?;
            (take_turn(args, &mut with, case, number, "with a backlog").await?, beside)
        } else {
            let server = take_turn(args, &mut with, case, number, "with a backlog").await?;
            (server, take_turn(args, &mut without, case, number, "without a backlog").await?)
        };
        rounds.push(Round { server, beside: Some(beside) });
    }
    Ok(Measured { case, rounds, filled })
}

async fn take_turn(
    args: &WebhooksArgs,
    stage: &mut Stage<'_>,
    case: &Case,
    number: u16,
    who: &str,
) -> Result<Delivered> {
    let run = stage.deliver(case.publishing, args.phases(TURNS)).await;
    let run = run.with_context(|| format!("turn {number}, {who}"))?;
    tell(case, number, who, &run);
    Ok(run)
}

async fn measure_floor(programs: &Programs, case: &Case, phases: Phases) -> Result<Delivered> {
    let shape = case.shape;
    let receiver = chore(programs, &[RECEIVER, &serde_json::to_string(&shape)?]).start().await;
    let (address, receiver_pid) = (address(&receiver)?, receiver.pid());
    let orders = FloorOrders { receiver: address, receiver_pid, shape, connections: IN_FLIGHT, phases };
    order(programs, FLOOR, &orders).await
}

fn tell(case: &Case, round: u16, who: &str, run: &Delivered) {
    let (name, rate, cost, wrongs) = (case.name, run.rate(), run.cost(0), run.wrongs.sum());
    let delay = run.delay.p50_ms;
    eprintln!(
        "{name} round {round}, {who}: {rate:.0} deliveries/s, {cost:.1} µs CPU each, p50 {delay:.1} ms, {wrongs} wrong"
    );
}
