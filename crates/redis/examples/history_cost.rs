//! What recent history costs Redis: its processor time per event, beside plain `PUBLISH`, in one run.
//!
//! `cargo run --release -p hookswitch-redis --example history_cost`. Needs `redis-server`; starts its own. Each round
//! publishes the same events in each way, so that whatever else the machine does hits all of them; medians are told.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, PubsubInterface as _};
use fred::types::Builder;
use fred::types::config::{Config, PerformanceConfig};
use futures_util::future::join_all;
use hookswitch_hub::{BrokerSink, GapScope, OfflineLimits, Received, UserKey};
use hookswitch_protocol::{NodeId, TenantId};
use hookswitch_redis::history::{AppendEvent, AppendRequest, Batch, HistoryStream, Marks, Position, StreamLimits};
use hookswitch_redis::{RedisConfig, RedisKeepers};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{RedisServer, RedisSpec};

const CHANNEL: &str = "callcenter:calls:tenant-123";
/// Events of each way in each round, and how many are on the way at a time.
const EVENTS: usize = 12_800;
const AT_ONCE: usize = 256;
const ROUNDS: usize = 9;

type Failure = Box<dyn std::error::Error>;

/// Hears nothing.
struct NullSink;

impl BrokerSink for NullSink {
    fn on_events(&self, _tenant: &TenantId, _received: Vec<Received>) {}

    fn on_gap(&self, _scope: GapScope, _n_missed: Option<u64>) {}

    fn on_backlog(&self, _user: UserKey) {}
}

/// A way to publish.
#[derive(Debug, Clone, Copy)]
enum Way {
    Publish,
    /// Batches of so many events, of so many tenants at a time.
    Append {
        n_events: usize,
        n_tenants: usize,
    },
}

const WAYS: [(&str, Way); 5] = [
    ("PUBLISH, pipelined", Way::Publish),
    ("appended, 4 tenants, 100 events each", Way::Append { n_events: 100, n_tenants: 4 }),
    ("appended, 1 tenant, 100 events", Way::Append { n_events: 100, n_tenants: 1 }),
    ("appended, 1 tenant, 10 events", Way::Append { n_events: 10, n_tenants: 1 }),
    ("appended, 64 tenants, 1 event each", Way::Append { n_events: 1, n_tenants: 64 }),
];

/// Seconds of processor time that the server has used.
async fn used(redis: &RedisServer) -> Result<f64, Failure> {
    let info = redis.cli(&["INFO", "cpu"]).await;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    field("used_cpu_user:").zip(field("used_cpu_sys:")).map(|(user, system)| user + system).ok_or("no figures".into())
}

/// An envelope of 330 bytes.
fn envelope() -> Bytes {
    let head = r#"{"type":"call.answered","payload":{"unique_id":"1761393600.17","x":""#;
    let tail = r#""},"timestamp":"2026-11-30T12:00:00.000Z","tenant_id":"tenant-123","id":"0193-a"}"#;
    format!("{head}{}{tail}", "x".repeat(330 - head.len() - tail.len())).into()
}

/// One subscriber, which reads and forgets.
fn listen(redis: &RedisServer) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(redis.addr())?;
    stream.write_all(format!("SUBSCRIBE {CHANNEL}\r\n").as_bytes())?;
    std::thread::spawn(move || {
        let mut scratch = vec![0; 256 * 1_024];
        while stream.read(&mut scratch).is_ok_and(|n| n > 0) {}
    });
    Ok(())
}

async fn publish(client: &Client, envelope: &Bytes) -> Result<(), Failure> {
    for _ in 0..EVENTS / AT_ONCE {
        let sent = join_all((0..AT_ONCE).map(|_| client.publish::<i64, _, _>(CHANNEL, envelope.clone()))).await;
        sent.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    Ok(())
}

/// Several tenants, and the last position of each.
struct Tenants<'a> {
    history: &'a HistoryStream,
    tenants: Vec<(TenantId, Option<Position>)>,
}

impl Tenants<'_> {
    async fn append(&mut self, envelope: &Bytes, n_events: usize) -> Result<(), Failure> {
        for _ in 0..EVENTS / (n_events * self.tenants.len()) {
            let event =
                || AppendEvent { envelope: envelope.clone(), channel: Some(CHANNEL.into()), marks: Marks::default() };
            let batch = |_: &_| self.history.batch((0..n_events).map(|_| event()).collect());
            let batches: Vec<Batch> = self.tenants.iter().map(batch).collect();
            let pairs = self.tenants.iter().zip(&batches);
            let requests: Vec<_> =
                pairs.map(|((tenant, seen), batch)| AppendRequest { tenant, seen: *seen, batch }).collect();
            let answers = self.history.append_all(&requests).await;
            for ((_, seen), answer) in self.tenants.iter_mut().zip(answers) {
                let appended = answer?;
                *seen = Some(Position { epoch: appended.epoch, offset: *appended.offsets.end() });
            }
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let redis = RedisSpec::new().start().await;
    listen(&redis)?;
    let (clock, scope) = (Clock::system(), Scope::root("cost"));
    let node = NodeId::generate(clock.now());
    let config = RedisConfig::parse_url(&redis.url())?;
    let limits = OfflineLimits::default();
    let keepers = RedisKeepers::start(config, node, limits, Arc::new(NullSink), clock, scope.clone()).await?;
    let history = HistoryStream::new(keepers.link.clone(), StreamLimits::default());
    let client = Builder::from_config(Config::from_url(&redis.url())?)
        .set_performance_config(PerformanceConfig::default())
        .build()?;
    client.init().await?;
    let envelope = envelope();
    let mut spent = vec![Vec::new(); WAYS.len()];
    let mut tenants: Vec<Tenants<'_>> = Vec::new();
    for (number, (_, way)) in WAYS.iter().enumerate() {
        let n_tenants = if let Way::Append { n_tenants, .. } = way { *n_tenants } else { 0 };
        let named = (0..n_tenants).map(|n| Ok((TenantId::parse(&format!("t{number}-{n}"))?, None)));
        let named: Result<Vec<_>, Failure> = named.collect();
        tenants.push(Tenants { history: &history, tenants: named? });
    }
    for round in 0..=ROUNDS {
        for (number, (_, way)) in WAYS.iter().enumerate() {
            let before = used(&redis).await?;
            match way {
                Way::Publish => publish(&client, &envelope).await?,
                Way::Append { n_events, .. } => tenants[number].append(&envelope, *n_events).await?,
            }
            let n_events = EVENTS as f64;
            // The first fills the streams, so that from then on something is dropped each time.
            if round > 0 {
                spent[number].push((used(&redis).await? - before) / n_events * 1e6);
            }
        }
    }
    let mut out = std::io::stdout().lock();
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let floor = median(&mut spent[0]);
    for ((name, _), times) in WAYS.iter().zip(&mut spent) {
        let time = median(times);
        writeln!(out, "{name:<40} {time:>6.2} µs of Redis per event, {:>5.2} times", time / floor)?;
    }
    scope.shut_down(std::time::Duration::from_secs(5)).await;
    Ok(())
}
