//! `hookswitch dev`: everything without configuration, and a simulated call centre.

mod desks;
mod dir;
mod playback;
mod sim;
mod welcome;

use std::time::Duration;

use anyhow::Context as _;
use hookswitch::runtime::Clock;
use hookswitch::{Secret, TenantId, UserId};
use rand::TryRng as _;
use rand::rngs::SysRng;

use self::desks::Desks;
pub(crate) use self::dir::DevDir;
use self::playback::Publisher;
use self::sim::{SUPERVISOR, Simulator};
use self::welcome::{DevTokens, Welcome};
use crate::cli::DevArgs;
use crate::config::{Config, Environment, settings};
use crate::node::{self, Node};
use crate::token::Grant;

const TENANT: &str = "demo";
const TOKENS_LIVE: Duration = Duration::from_hours(12);

/// Runs until it is stopped.
pub(crate) fn run(args: &DevArgs, environment: &Environment) -> anyhow::Result<()> {
    let dir = DevDir::here();
    let secret = dir.secret()?;
    let config = config(args, &dir, &secret, environment)?;
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
    let folder = &folder_of_program();
    let has_console = config.server.console;
    let welcome =
        Welcome { address: node.address, has_console, dir, simulation: &simulation, folder_of_program: folder };
    println!("{}", welcome.text(&tokens(secret)?));
    if !args.no_simulate {
        start_simulation(args, &node)?;
    }
    node.until_stopped().await
}

/// Where `hookswitch` lies, so that the lines to paste find it.
fn folder_of_program() -> String {
    let program = std::env::current_exe().ok();
    let folder = program.as_deref().and_then(std::path::Path::parent).map(std::path::Path::display);
    folder.map_or_else(|| "target/release".to_owned(), |folder| folder.to_string())
}

fn start_simulation(args: &DevArgs, node: &Node) -> anyhow::Result<()> {
    let seed = match args.seed {
        Some(seed) => seed,
        None => SysRng.try_next_u64().context("the system gives no random number")?,
    };
    tracing::info!(seed, rate = args.rate, "simulating a call centre");
    let clock = Clock::system();
    let start = clock.now();
    let desks = Desks::new(node.switch.admission().clone(), node.scope.clone(), tenant());
    let publisher = Publisher { broadcaster: node.switch.broadcaster(), tenant: tenant(), clock, desks };
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
        console: sign(UserId::parse("admin")?, "admin")?,
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

/// As `serve` without any setting, but: only this machine can reach it, so pages of any origin may, and so may webhooks
/// to this machine.
fn config(args: &DevArgs, dir: &DevDir, secret: &Secret, environment: &Environment) -> anyhow::Result<Config> {
    let console = environment.text(settings::CONSOLE.env).ok().flatten().unwrap_or("true");
    let (port, database) = (args.port.to_string(), format!("sqlite://{}", dir.database().display()));
    let given = [
        (&settings::SERVER_HOST, "127.0.0.1"),
        (&settings::SERVER_PORT, port.as_str()),
        (&settings::DATABASE_URL, database.as_str()),
        (&settings::JWT_SECRET, secret.reveal()),
        (&settings::WS_ALLOWED_ORIGINS, "*"),
        (&settings::WS_PUBLIC_ALLOWED_ORIGINS, "*"),
        (&settings::CONSOLE, console),
        (&settings::WEBHOOK_ALLOW_HTTP, "true"),
        (&settings::WEBHOOK_ALLOW_CIDRS, "127.0.0.0/8"),
    ];
    let mut config = Config::of_settings(environment, &given)?;
    config.server.port_hint = "--port 8001";
    config.warnings.extend(warnings(environment));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use hookswitch::gateway::AllowedOrigins;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn it_is_a_server_without_settings_that_only_this_machine_can_reach() {
        let Command::Dev(args) = Cli::parse_from(["hookswitch", "dev", "--port", "81"]).command else { panic!("dev") };
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let root = tempfile::TempDir::new().expect("a directory");
        let dir = DevDir::below(root.path());
        std::fs::create_dir(root.path().join(".hookswitch-dev")).expect("made");
        let without = config(&args, &dir, &secret, &Environment::from([("CONSOLE", "false")])).expect("good");
        assert!(!without.server.console);
        let config = config(&args, &dir, &secret, &Environment::default()).expect("good");
        assert_eq!((config.server.host.to_string().as_str(), config.server.port), ("127.0.0.1", 81));
        assert_eq!(
            (config.websocket.origins, config.websocket.public_origins),
            (AllowedOrigins::Any, AllowedOrigins::Any)
        );
        assert!(config.server.console);
        assert!(config.webhooks.addresses.is_http_allowed() && config.redis.is_none() && config.warnings.is_empty());
    }
}
