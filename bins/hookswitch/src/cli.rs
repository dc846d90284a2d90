//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hookswitch::protocol::{TenantId, UserId};

use crate::config::parse_duration;
use crate::receiver::ReceiverArgs;

/// Said by `--help`, kept in step with [`crate::exit`].
const EXIT_CODES: &str = "\
Exit codes:
  0              ended as asked
  1              failed while running, or could not start (port taken, database locked); the log says why
  2              wrong usage of the command line
  78             bad configuration; every problem is listed on standard error
  129, 130, 143  a second SIGHUP, SIGINT or SIGTERM cut the shutdown short

Standard output carries what programs read (`listening on http://…`, tokens, settings); logs go to standard error.";

const SERVE_EXAMPLES: &str = "\
Examples:
  JWT_SECRET=$(openssl rand -hex 32) hookswitch serve
  hookswitch serve --config /etc/hookswitch.toml
  DATABASE_URL=mysql://hub:secret@db/calls hookswitch serve --migrate

Every setting, by variable and by TOML key: docs/config.md. A variable wins over the file.";

const CHECK_EXAMPLES: &str = "\
Examples:
  hookswitch check-config
  hookswitch check-config --config /etc/hookswitch.toml && systemctl restart hookswitch

Reads what `serve` would read, in the same environment. Ends with 0 or, if anything is wrong, with 78.";

const PRINT_EXAMPLES: &str = "\
Examples:
  hookswitch print-config
  hookswitch print-config --config /etc/hookswitch.toml

Reads what `serve` would read, in the same environment; behind each value stands where it came from.";

const ASTERISK_EXAMPLES: &str = "\
Examples:
  ASTERISK_ADDRESS=pbx:5038 ASTERISK_USER=hub ASTERISK_SECRET=… ASTERISK_TENANT=t hookswitch asterisk check
  hookswitch asterisk check --config /etc/hookswitch.toml --within 1m

Publishes nothing. Ends with 0 when every switch let itself be read, with 1 when one did not.";

/// The switchboard between a call centre's back-end and everyone who must hear of what happens there.
#[derive(Debug, Parser)]
#[command(name = "hookswitch", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run on this machine without any configuration, with a simulated call centre.
    Dev(DevArgs),
    /// Run the server, configured by environment variables and, if you like, a TOML file.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Look at the database's schema, or change it step by step.
    Migrate(MigrateArgs),
    /// Receive webhooks: check signatures, and misbehave on demand.
    Receiver(ReceiverArgs),
    /// Look at the Asterisk that this node would follow.
    #[command(after_help = ASTERISK_EXAMPLES)]
    Asterisk(AsteriskArgs),
    /// Mint a token for development and tests; in production your identity provider does that.
    Token(TokenArgs),
    /// Say everything that is wrong with the configuration, without starting.
    #[command(after_help = CHECK_EXAMPLES)]
    CheckConfig(ConfigArgs),
    /// Print the effective settings as TOML with their sources; secrets as ***.
    #[command(after_help = PRINT_EXAMPLES)]
    PrintConfig(ConfigArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookswitch dev                       listen on 127.0.0.1:8000 and print how to connect
  hookswitch dev --port 0 --rate 20    any free port, about twenty events a second
  hookswitch dev --no-simulate         a silent server to publish to

Keeps a secret and an SQLite file in ./.hookswitch-dev/; delete the directory to start afresh.")]
pub(crate) struct DevArgs {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// Simulated events per second, on average.
    #[arg(long, default_value_t = 2.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// The seed of the simulation; the same seed tells the same story. By default another one each time.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Do not simulate a call centre.
    #[arg(long, conflicts_with_all = ["rate", "seed"])]
    pub(crate) no_simulate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// A TOML file; wins over the variable `HOOKSWITCH_CONFIG`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AsteriskArgs {
    #[command(subcommand)]
    pub(crate) action: AsteriskAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AsteriskAction {
    /// Connect, say what was found and what cannot be told, then print what happens as it does.
    #[command(after_help = ASTERISK_EXAMPLES)]
    Check(AsteriskCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AsteriskCheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// End after this time; by default only at a signal.
    #[arg(long, value_name = "TIME", value_parser = time_to_live)]
    pub(crate) within: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Bring the tables of a MySQL or MariaDB database up to date first. (A SQLite file's always are.)
    #[arg(long)]
    pub(crate) migrate: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookswitch migrate status
  hookswitch migrate up --database-url mysql://hub:secret@db/calls

Without --database-url the database is the one that `serve` would use. `down` takes the newest step back, with
everything that its tables hold. Several nodes may run `up` at once; they wait for each other.")]
pub(crate) struct MigrateArgs {
    /// What to do.
    #[arg(value_enum)]
    pub(crate) action: MigrateAction,
    /// Which database, instead of the configured one.
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MigrateAction {
    /// Tell which steps the database has.
    Status,
    /// Take all steps that it does not have.
    Up,
    /// Take the newest step back.
    Down,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookswitch token --user 101                     an agent of tenant demo
  hookswitch token --role service --ttl 30m       a back-end that publishes
  export SERVICE=$(hookswitch token --role service)

Signs with JWT_SECRET; without it, with the secret of ./.hookswitch-dev/, so that it fits `hookswitch dev`.")]
pub(crate) struct TokenArgs {
    /// The user id, a number or text. By default the role's name, for an agent 101.
    #[arg(long, value_parser = UserId::parse)]
    pub(crate) user: Option<UserId>,
    /// The tenant.
    #[arg(long, default_value = "demo", value_parser = TenantId::parse)]
    pub(crate) tenant: TenantId,
    /// What the token may do.
    #[arg(long, default_value = "agent", value_parser = ["agent", "supervisor", "admin", "service"])]
    pub(crate) role: String,
    /// How long it is valid: 30m, 12h, …
    #[arg(long, default_value = "12h", value_parser = time_to_live)]
    pub(crate) ttl: Duration,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=1_000.0).contains(&rate) { Ok(rate) } else { Err("not between 0.01 and 1000".to_owned()) }
}

fn time_to_live(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number and a unit, like 30m or 12h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_shows_examples_of_its_own() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().expect("examples").to_string();
            assert!(help.contains(&format!("hookswitch {}", command.get_name())), "{help}");
        }
    }

    #[test]
    fn bad_arguments_are_usage_errors() {
        let check = |line: &str| {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        };
        check("hookswitch dev --rate 0");
        check("hookswitch dev --rate NaN");
        check("hookswitch dev --no-simulate --rate 2");
        check("hookswitch dev --port 70000");
        check("hookswitch token --tenant a{b}");
        check("hookswitch token --role boss");
        check("hookswitch token --ttl 5");
        check("hookswitch receiver --mode friendly");
        check("hookswitch receiver --listen nowhere");
        check("hookswitch receiver --quiet --json");
        check("hookswitch migrate");
        check("hookswitch migrate sideways");
        check("hookswitch unknown");
    }
}
