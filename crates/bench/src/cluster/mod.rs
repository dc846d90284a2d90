//! `cargo xtask bench cluster`: from node to node through one Redis.
//!
//! Redis, both nodes and the load client are processes of their own on loopback. Each round starts them afresh and
//! measures first what Redis does alone, then each load, so that whatever else the machine does hits both sides of a
//! ratio. An event counts once it has come to every connection.

mod loads;
mod nodes;
mod redis;
mod report;

use anyhow::{Context as _, Result};
use clap::Args;
use hookswitch_testkit::RedisServer;

use self::loads::{LOADS, Load};
use self::nodes::Nodes;
use self::redis::{PIPELINE, heard_rate, publish_rate};
use self::report::{RedisAlone, Round};
use crate::programs::{Programs, build};
use crate::report::{judge, keep};
use crate::spec::{Cluster, Phases};

/// Messages that redis-benchmark sends: pipelined, with a subscriber (whom Redis would cut off at 32 MB of backlog), and
/// one by one.
const PIPELINED_MESSAGES: u32 = 500_000;
const HEARD_MESSAGES: u32 = 200_000;
const SINGLE_MESSAGES: u32 = 100_000;
/// So much less with `--quick`.
const QUICK_SHARE: u32 = 5;

/// How much to measure.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Interleaved rounds (Redis alone, each load, Redis alone, …); medians count.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Seconds that each load is measured, after a warm-up of a third of that.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// One round of two seconds per load: whether it works, not how fast it is.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Only these loads.
    #[arg(long, value_delimiter = ',', value_parser = loads::names())]
    only: Vec<String>,
}

impl ClusterArgs {
    fn rounds(&self) -> u8 {
        if self.quick { 1 } else { self.rounds }
    }

    fn phases(&self) -> Phases {
        let measured_ms = if self.quick { 2_000 } else { u64::from(self.seconds) * 1_000 };
        Phases { warm_up_ms: measured_ms / 3, measured_ms }
    }

    fn loads(&self) -> impl Iterator<Item = &'static Load> {
        LOADS.iter().filter(|load| self.only.is_empty() || self.only.iter().any(|name| name == load.name))
    }
}

/// Measures and reports; fails when an event was lost, doubled or out of order.
pub(crate) async fn run(args: &ClusterArgs) -> Result<()> {
    let (programs, target) = build(true)?;
    let mut rounds = Vec::new();
    for number in 1..=args.rounds() {
        let round = measure_round(args, &programs, number).await;
        rounds.push(round.with_context(|| format!("round {number}"))?);
    }
    println!("{}\n", report::tables(&rounds));
    keep(&target, "cluster.json", &report::to_json(&rounds))?;
    judge(&report::verdicts(&rounds))
}

async fn measure_round(args: &ClusterArgs, programs: &Programs, number: u8) -> Result<Round> {
    let nodes = Nodes::start(programs).await;
    let alone = measure_redis(&nodes.redis, if args.quick { QUICK_SHARE } else { 1 })?;
    let RedisAlone { pipelined, heard, one_by_one } = alone;
    eprintln!(
        "round {number}, redis-benchmark: {pipelined:.0}, heard {heard:.0}, one by one {one_by_one:.0} messages/s"
    );
    let mut loads = Vec::new();
    for load in args.loads() {
        let run = nodes.measure(programs, load, args.phases()).await.context(load.name)?;
        eprintln!("round {number}, {}: {}", load.name, progress(load, &run));
        loads.push((load, run));
    }
    Ok(Round { alone, loads })
}

fn progress(load: &Load, run: &Cluster) -> String {
    if load.is_full_speed() {
        return format!("{:.0} events/s, {} events", run.fanout.events_per_second(), run.fanout.events);
    }
    let (here, there) = (run.fanout.latency.p50_ms, run.there.p50_ms);
    format!("p50 {here:.2} ms at A, {there:.2} ms at B, {} events", run.fanout.events)
}

fn measure_redis(redis: &RedisServer, share: u32) -> Result<RedisAlone> {
    Ok(RedisAlone {
        pipelined: publish_rate(redis, PIPELINED_MESSAGES / share, PIPELINE)?,
        heard: heard_rate(redis, HEARD_MESSAGES / share, PIPELINE)?,
        one_by_one: publish_rate(redis, SINGLE_MESSAGES / share, 1)?,
    })
}
