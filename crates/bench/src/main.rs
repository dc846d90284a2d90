//! `cargo xtask bench fanout`: what one delivery costs the server, beside what it must cost anybody;
//! `cargo xtask bench cluster`: how fast events go from node to node;
//! `cargo xtask bench webhooks`: what a delivery costs that survives a crash.
//!
//! Server, load client and floors are processes of their own on loopback. Cost is processor time of the subject from
//! `/proc`, the kernel's work for it included; rates and latencies depend on the machine, ratios to the floors hardly.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who ran it")]

mod client;
mod clock;
mod cluster;
mod fanout;
mod message;
mod programs;
mod publisher;
mod report;
mod socket;
mod spec;
mod subject;
mod ticker;
mod track;
mod webhooks;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use self::fanout::Writes;

/// Measure, and hold the figures against their bars.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask bench", max_term_width = 100)]
enum Bench {
    /// Fan-out cost against the floors, memory per idle connection, cost of connecting.
    Fanout(fanout::FanoutArgs),
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
        Bench::Fanout(args) => on_one_thread(fanout::run(args)),
        Bench::Cluster(args) => on_one_thread(cluster::run(args)),
        Bench::Webhooks(args) => on_one_thread(webhooks::run(args)),
        Bench::WebhookReceiver { shape } => webhooks::run_receiver(shape),
        Bench::WebhookClient { orders } => webhooks::run_client(orders),
        Bench::WebhookFloor { orders } => webhooks::run_floor(orders),
        Bench::FloorSingle => fanout::run_floor(Writes::Single),
        Bench::FloorPacked => fanout::run_floor(Writes::Packed),
        Bench::LoadClient { spec } => client::run(spec),
    }
}

/// Whoever waits for others needs no more, and leaves the other processors to them.
pub(crate) fn on_one_thread(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
