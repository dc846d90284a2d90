//! `hookswitch dev`: everything without configuration, and a simulated call centre.

mod dir;
mod playback;
mod sim;
mod welcome;

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use hookswitch::gateway::{AllowedOrigins, JwtConfig};
use hookswitch::runtime::Clock;
use hookswitch::store::SecretKeys;
use hookswitch::store::migrations::Database;
use hookswitch::webhooks::{AddressPolicy, WebhookConfig};
use hookswitch::{Secret, TenantId, UserId};
use rand::TryRng as _;
use rand::rngs::SysRng;

pub(crate) use self::dir::DevDir;
use self::playback::Publisher;
use self::sim::{SUPERVISOR, Simulator};
use self::welcome::DevTokens;
use crate::cli::DevArgs;
use crate::config::{Config, Deliveries, Environment, Log, Server, WebSocket, Webhooks};
use crate::node::{self, Node};
use crate::token::Grant;

const TENANT: &str = "demo";
const TOKENS_LIVE: Duration = Duration::from_hours(12);

/// Runs until it is stopped.
pub(crate) fn run(args: &DevArgs, environment: &Environment) -> anyhow::Result<()> {
    let dir = DevDir::here();
    let secret = dir.secret()?;
    let config = Config { warnings: warnings(environment), ..config(args, &dir, &secret, Log::of(environment)?) };
    node::run(&config, live(args, &config, &dir, &secret))
}

#[expect(clippy::print_stdout, reason = "the welcome is what a newcomer came for")]
async fn live(args: &DevArgs, config: &Config, dir: &DevDir, secret: &Secret) -> anyhow::Result<()> {
    let node = Node::start(config).await?;
    let simulation = if args.no_simulate {
        "No call centre is simulated: what you publish is all there is.".to_owned()
    } else {
        format!("A simulated call centre publishes about {} events a second.", args.rate)
    };
    println!("{}", welcome::text(node.address, &tokens(secret)?, dir, &simulation));
    if !args.no_simulate {
        start_simulation(args, &node)?;
    }
    node.until_stopped().await
}

fn start_simulation(args: &DevArgs, node: &Node) -> anyhow::Result<()> {
    let seed = match args.seed {
        Some(seed) => seed,
        None => SysRng.try_next_u64().context("the system gives no random number")?,
    };
    tracing::info!(seed, rate = args.rate, "simulating a call centre");
    let clock = Clock::system();
    let start = clock.now();
    let publisher = Publisher { broadcaster: node.switch.broadcaster(), tenant: tenant(), clock };
    node.scope.spawn("simulation", playback::play(Simulator::new(seed, start), start, args.rate, publisher));
    Ok(())
}

fn tenant() -> TenantId {
    TenantId::parse(TENANT).expect("the name is legal")
}

fn tokens(secret: &Secret) -> anyhow::Result<DevTokens> {
    let (tenant, clock) = (tenant(), Clock::system());
    let sign =
        |user: UserId, role| Grant { user, tenant: &tenant, role, time_to_live: TOKENS_LIVE }.sign(secret, &clock);
    Ok(DevTokens {
        agent: sign(UserId::from(101), "agent")?,
        supervisor: sign(UserId::from(SUPERVISOR), "supervisor")?,
        service: sign(UserId::parse("service")?, "service")?,
    })
}

/// Whoever asks for several nodes should not think that these are.
fn warnings(environment: &Environment) -> Vec<String> {
    let asked = ["REDIS_URL", "REDIS_HOST"].into_iter().filter(|name| environment.text(name) != Ok(None));
    asked.map(|name| format!("{name} has no effect: `hookswitch dev` is always a single node")).collect()
}

/// As `serve` without any setting.
fn deliveries() -> Deliveries {
    let defaults = WebhookConfig::default();
    Deliveries {
        per_webhook: defaults.per_webhook,
        tenant_rate_limit: None,
        expiry: defaults.expiry,
        disable_after: defaults.disable.after,
        retention: defaults.retention,
        secret_keys: SecretKeys::default(),
    }
}

/// Only this machine can reach it, so pages of any origin may, and so may webhooks to this machine.
fn config(args: &DevArgs, dir: &DevDir, secret: &Secret, log: Log) -> Config {
    let loopback = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("the range is legal");
    Config {
        server: Server {
            host: Ipv4Addr::LOCALHOST.into(),
            port: args.port,
            port_hint: "--port 8001",
            shutdown_deadline: Duration::from_secs(5),
            tenant_rate_limit: None,
        },
        database: Database::Sqlite(dir.database()),
        redis: None,
        tokens: JwtConfig { secret: Some(secret.clone()), ..JwtConfig::default() },
        websocket: WebSocket {
            threads: None,
            ping_interval: Duration::from_secs(54),
            pong_timeout: Duration::from_mins(1),
            read_buffer_bytes: 1024,
            origins: AllowedOrigins::Any,
            public_origins: AllowedOrigins::Any,
        },
        webhooks: Webhooks { addresses: loopback, concurrency: 512, deliveries: deliveries() },
        log,
        warnings: Vec::new(),
    }
}
