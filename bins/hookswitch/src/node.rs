//! Assembly: from checked settings to a running node, and its orderly end.

use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use hookswitch::Switch;
use hookswitch::gateway::{GatewayConfig, JwtAuthenticator, listen};
use hookswitch::hub::{HistoryLimits, HubConfig};
use hookswitch::protocol::NodeId;
use hookswitch::redis::{RedisConfig, StreamLimits};
use hookswitch::runtime::{Clock, Crash, Scope};
use hookswitch::store::migrations::Database;
use hookswitch::store::{EndedNodes, MySqlConfig, StoreConfig};
use hookswitch::webhooks::{DisableRule, WebhookConfig};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::process_name::ProcessName;
use crate::signals::{Signals, Stop};
use crate::{asterisk, logging, open_files};

/// How long threads that block in a system call may hold up the end.
const THREADS_DEADLINE: Duration = Duration::from_millis(500);

/// A node that serves.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) switch: Switch,
    pub(crate) address: SocketAddr,
    /// What runs beside the switch and ends with it.
    pub(crate) scope: Scope,
    signals: Signals,
    shutdown_deadline: Duration,
}

/// Why a node ends.
enum End {
    Signalled(Stop),
    /// By an operator, over HTTP.
    Asked,
    Crashed(Crash),
}

/// Runs `life` on a runtime of its own, with logs and limits set up before.
pub(crate) fn run(config: &Config, life: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    logging::init(&config.log)?;
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    open_files::raise_limit();
    let runtime = runtime().context("cannot start the runtime")?;
    let ended = runtime.block_on(life);
    runtime.shutdown_timeout(THREADS_DEADLINE);
    logging::flush();
    ended
}

/// The runtime for HTTP, webhooks and chores, beside the hub's own threads. It has one thread for every
/// two processors, like the hub: more of them mostly wake each other up.
fn runtime() -> std::io::Result<Runtime> {
    let n_processors = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread().worker_threads(n_processors.div_ceil(2)).enable_all().build()
}

impl Node {
    /// Listens first, so that a taken port is known before the database is touched.
    pub(crate) async fn start(config: &Config) -> anyhow::Result<Self> {
        let signals = Signals::catch().context("cannot catch signals")?;
        let address = SocketAddr::new(config.server.host, config.server.port);
        let listener = match listen(address) {
            Ok(listener) => listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                bail!(
                    "{address} is taken by another program; stop it, or choose another port ({})",
                    config.server.port_hint
                )
            }
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {address}")),
        };
        let address = listener.local_addr().context("the socket has no address")?;
        let clock = Clock::system();
        let authenticator = JwtAuthenticator::new(&config.tokens, clock.clone()).context("the token keys")?;
        let process = ProcessName::here(address);
        let named = process.as_ref().and_then(|process| NodeId::parse(&process.to_string()).ok());
        let node = named.unwrap_or_else(|| NodeId::generate(clock.now()));
        let builder = Switch::builder()
            .node_id(node.clone())
            .clock(clock)
            .hub(hub(config))
            .webhooks(webhooks(config))
            .addresses(config.webhooks.addresses.clone())
            .gateway(gateway(config), Arc::new(authenticator))
            .metrics(logging::register_metrics);
        let secret_keys = config.webhooks.deliveries.secret_keys.clone();
        let builder = match config.database.clone() {
            Database::Sqlite(path) => builder.sqlite(StoreConfig { secret_keys, ..StoreConfig::new(path) }),
            Database::MySql(server) => {
                let node_name = Some(node.to_string());
                let ended_nodes = process
                    .map_or_else(EndedNodes::default, |process| EndedNodes::new(move |name| process.knows_ended(name)));
                builder.mysql(MySqlConfig { secret_keys, node_name, ended_nodes, ..*server })
            }
        };
        let builder = match config.redis.clone() {
            Some(redis) => builder.redis(with_history(redis, config.history)),
            None => builder,
        };
        let switch = builder.start().await?;
        let scope = Scope::root("server");
        scope.spawn("accept", {
            let switch = switch.clone();
            async move { switch.serve(listener).await }
        });
        asterisk::follow(&config.asterisk, &switch, &scope);
        announce(address)?;
        log_start(config, address, &node);
        Ok(Self { switch, address, scope, signals, shutdown_deadline: config.server.shutdown_deadline })
    }

    /// Serves until a signal, an operator's request or a crash, then drains and ends in order; a second signal ends
    /// at once.
    pub(crate) async fn until_stopped(mut self) -> anyhow::Result<()> {
        let end = tokio::select! {
            stop = self.signals.next() => End::Signalled(stop),
            () = self.switch.drain_asked() => End::Asked,
            crash = self.switch.crashed() => End::Crashed(crash),
            crash = crash_of(&self.scope) => End::Crashed(crash),
        };
        let ending = end_in_order(&self.switch, &end, self.shutdown_deadline);
        let (in_order, crash) = match end {
            End::Asked => tokio::select! {
                ended = ending => ended,
                never = self.signals.end_at_second() => never,
            },
            End::Signalled(_) | End::Crashed(_) => tokio::select! {
                ended = ending => ended,
                never = self.signals.end_at_next() => never,
            },
        };
        self.scope.shut_down(Duration::ZERO).await;
        match crash {
            Some(crash) => bail!("the task {:?} crashed", crash.task),
            None if in_order => tracing::info!("ended"),
            None => tracing::warn!("ended by the deadline; what was under way goes on after the next start"),
        }
        Ok(())
    }
}

/// Drains, unless the node crashed or does so meanwhile, and ends: within the drain's window and `deadline`. Whether
/// everything ended by itself, and what crashed.
async fn end_in_order(switch: &Switch, end: &End, deadline: Duration) -> (bool, Option<Crash>) {
    let until = Instant::now() + switch.hub().drain_window() + deadline;
    let (drained, crash) = match end {
        // What works of it may not go on working for a whole window.
        End::Crashed(crash) => (true, Some(crash.clone())),
        End::Signalled(_) | End::Asked => {
            match end {
                End::Signalled(stop) => tracing::info!(?stop, "shutting down"),
                End::Asked | End::Crashed(_) => tracing::info!("shutting down, as an operator asked"),
            }
            // A part stays for the rest.
            tokio::select! {
                drained = timeout_at(until - deadline / 10, switch.drain()) => (drained.unwrap_or(false), None),
                crash = switch.crashed() => (false, Some(crash)),
            }
        }
    };
    let left = until.saturating_duration_since(Instant::now()).min(deadline);
    (switch.shut_down(left).await && drained, crash)
}

/// The crash of a scope; never returns for one that ends in order.
async fn crash_of(scope: &Scope) -> Crash {
    scope.soft().cancelled().await;
    match scope.crash() {
        Some(crash) => crash,
        None => std::future::pending().await,
    }
}

/// The one line on standard output that programs wait for.
fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{address}").and_then(|()| out.flush()).context("standard output is closed")
}

fn log_start(config: &Config, address: SocketAddr, node: &NodeId) {
    let version = env!("CARGO_PKG_VERSION");
    let database = match &config.database {
        Database::Sqlite(path) => path.display().to_string(),
        Database::MySql(server) => server.to_string(),
    };
    // Whether the others were found is told by the link itself.
    let others = config.redis.as_ref().map_or_else(|| "none".to_owned(), |redis| redis.topology.to_string());
    if let Some(proxy) = config.webhooks.addresses.proxy_address() {
        tracing::info!(proxy, "webhooks go through a proxy");
    }
    // Under this name it stands in the leases of a shared database; its name in Redis is logged when it joins.
    tracing::info!(%address, %node, version, %others, %database, "started");
}

fn hub(config: &Config) -> HubConfig {
    let default = HubConfig::default();
    HubConfig {
        shards: config.websocket.threads.map_or(default.shards, NonZeroUsize::get),
        connection_caps: config.server.connection_caps,
        ping_interval: config.websocket.ping_interval,
        pong_timeout: config.websocket.pong_timeout,
        max_tenant_sessions: config.websocket.sessions_per_tenant,
        history: config.history,
        event_classes: config.event_classes.clone(),
        balance_rate: config.websocket.balance_rate,
        drain_window: config.server.drain_window,
        // With the wait for the last events before, and the one for others' last events behind it, it must fit
        // into the time for the end.
        drain_close_timeout: config.server.shutdown_deadline.mul_f64(0.3),
        ..default
    }
}

fn webhooks(config: &Config) -> WebhookConfig {
    let deliveries = &config.webhooks.deliveries;
    WebhookConfig {
        concurrency: config.webhooks.concurrency,
        per_webhook: deliveries.per_webhook,
        max_per_tenant: deliveries.max_per_tenant,
        tenant_rate_limit: deliveries.tenant_rate_limit,
        expiry: deliveries.expiry.clone(),
        disable: DisableRule { after: deliveries.disable_after, ..DisableRule::default() },
        retention: deliveries.retention,
        // Running attempts must be settled before the deadline, or they wait for their lease.
        stop_grace: config.server.shutdown_deadline.mul_f64(0.8),
        ..WebhookConfig::default()
    }
}

fn gateway(config: &Config) -> GatewayConfig {
    GatewayConfig {
        origins: config.websocket.origins.clone(),
        public_origins: config.websocket.public_origins.clone(),
        read_buffer_bytes: config.websocket.read_buffer_bytes,
        compression_from: config.websocket.compression_from,
        tenant_rate_limit: config.server.tenant_rate_limit,
        idle_timeout: config.server.idle_timeout,
        header_bytes: config.server.header_bytes,
        max_connections: config.server.max_connections,
        peer_timeout: config.websocket.pong_timeout,
        admin_tenant: config.server.admin_tenant.clone(),
        console: config.server.console,
        ..GatewayConfig::default()
    }
}

/// The same bounds for what Redis keeps of what happened as for what the node keeps.
fn with_history(redis: RedisConfig, limits: HistoryLimits) -> RedisConfig {
    let history = StreamLimits { events: limits.events, bytes: limits.bytes, age: limits.age };
    RedisConfig { history, ..redis }
}
