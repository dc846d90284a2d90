//! Configuration: settings as a table, raw texts from file and environment, then every problem at once or plain values.
//!
//! ```text
//! environment ─┐
//!              ├─ raw (texts, each with its source) ─ check ─ Config, or all problems
//! TOML file  ──┘
//! ```

mod check;
mod env;
mod page;
mod raw;
mod service_links;
pub(crate) mod settings;
mod values;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use hookswitch::gateway::{AllowedOrigins, JwtConfig};
use hookswitch::hub::{ConnectionCaps, EventClasses, HistoryLimits};
use hookswitch::protocol::{Secret, TenantId};
use hookswitch::redis::RedisConfig;
use hookswitch::store::SecretKeys;
use hookswitch::store::migrations::Database;
use hookswitch::webhooks::AddressPolicy;
use hookswitch_asterisk::Identity;

pub(crate) use self::env::Environment;
pub(crate) use self::page::print;
pub(crate) use self::raw::Raw;
pub(crate) use self::values::duration as parse_duration;
use settings::Setting;

/// Everything `serve` needs to know, checked; nothing is left to a default.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) database: Database,
    /// The way to the other nodes; `None` is a single node.
    pub(crate) redis: Option<RedisConfig>,
    pub(crate) tokens: JwtConfig,
    pub(crate) websocket: WebSocket,
    pub(crate) history: HistoryLimits,
    pub(crate) event_classes: EventClasses,
    pub(crate) webhooks: Webhooks,
    /// Switches that this node follows.
    pub(crate) asterisk: Vec<Asterisk>,
    pub(crate) log: Log,
    /// What is not wrong but worth saying at start.
    pub(crate) warnings: Vec<String>,
}

/// Where to listen, and how long to take for the end.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    /// How to choose another port, for the error when this one is taken.
    pub(crate) port_hint: &'static str,
    /// Counted from the end of the drain's window.
    pub(crate) shutdown_deadline: Duration,
    /// Over how long connections are closed at the end.
    pub(crate) drain_window: Duration,
    /// Whose tokens may ask for what concerns the whole node.
    pub(crate) admin_tenant: Option<TenantId>,
    /// Whether the console is served.
    pub(crate) console: bool,
    /// Requests per second of one tenant; `None` is no limit.
    pub(crate) tenant_rate_limit: Option<NonZeroU32>,
    pub(crate) idle_timeout: Duration,
    pub(crate) header_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) connection_caps: ConnectionCaps,
}

/// How WebSocket connections are kept, and which pages may open one.
#[derive(Debug, Clone)]
pub(crate) struct WebSocket {
    pub(crate) ping_interval: Duration,
    pub(crate) pong_timeout: Duration,
    /// `None` for as many as suit the machine.
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) sessions_per_tenant: usize,
    /// Connections a second that are sent to nodes that have fewer.
    pub(crate) balance_rate: u32,
    pub(crate) read_buffer_bytes: usize,
    /// From how many bytes on messages are compressed; `None` for never.
    pub(crate) compression_from: Option<usize>,
    pub(crate) origins: AllowedOrigins,
    pub(crate) public_origins: AllowedOrigins,
}

/// Where deliveries may go, and how many at once.
#[derive(Debug, Clone)]
pub(crate) struct Webhooks {
    pub(crate) addresses: AddressPolicy,
    pub(crate) concurrency: usize,
    pub(crate) deliveries: Deliveries,
}

/// How deliveries are paced, how long things are kept, and how secrets are.
#[derive(Debug, Clone)]
pub(crate) struct Deliveries {
    /// Most at once to one webhook.
    pub(crate) per_webhook: usize,
    /// Most webhooks of one tenant.
    pub(crate) max_per_tenant: usize,
    /// Attempts per second of one tenant; `None` is no limit.
    pub(crate) tenant_rate_limit: Option<NonZeroU32>,
    /// Seconds an event is worth sending, by event type or pattern.
    pub(crate) expiry: BTreeMap<String, u32>,
    /// A webhook that has failed for so long is switched off.
    pub(crate) disable_after: Duration,
    /// How long logs and ended deliveries are kept.
    pub(crate) retention: Duration,
    /// What secrets are sealed with in the database; none leaves them as they are.
    pub(crate) secret_keys: SecretKeys,
}

/// A PBX to follow.
#[derive(Debug, Clone)]
pub(crate) struct Asterisk {
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) secret: Secret,
    pub(crate) tenant: TenantId,
    /// Which channels are outside, and whose phones the others are.
    pub(crate) identity: Identity,
    /// Phones and their users, one a line.
    pub(crate) agents_file: Option<PathBuf>,
    pub(crate) tls: bool,
    /// The tenant is told of an outage.
    pub(crate) alert: bool,
    pub(crate) name: Option<String>,
}

/// What is logged, and how a line looks.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// One thing that keeps the server from starting: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The variable or TOML key, as the operator wrote it.
    pub(crate) key: String,
    pub(crate) wrong: String,
    pub(crate) remedy: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.wrong, self.remedy)
    }
}

/// Everything that is wrong, in the order of `docs/config.md`. Never holds a secret.
#[derive(Debug, Default)]
pub(crate) struct BadConfig {
    /// Never empty outside tests.
    pub(crate) problems: Vec<Problem>,
    /// Told too: a misspelt variable is often why another one is missing.
    pub(crate) warnings: Vec<String>,
}

impl std::error::Error for BadConfig {}

impl std::fmt::Display for BadConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the configuration has {} problem(s):", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))?;
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

impl Config {
    /// Reads the environment and, if one is named, the file; finds every problem before giving up.
    pub(crate) fn load(environment: &Environment, file: Option<PathBuf>) -> Result<Self, BadConfig> {
        let raw = Raw::collect(environment, file);
        check::check(&raw)
    }

    /// These settings, the two of logs from the environment, and the defaults of all others.
    pub(crate) fn of_settings(environment: &Environment, given: &[(&Setting, &str)]) -> Result<Self, BadConfig> {
        let mut raw = Raw::logging(environment);
        for (setting, text) in given {
            raw.put(setting, (*text).to_owned(), setting.env);
        }
        check::check(&raw)
    }

    /// As loaded, and the tables of a server may be changed at start.
    pub(crate) fn migrating(mut self, migrates: bool) -> Self {
        if let Database::MySql(server) = &mut self.database {
            server.migrates = migrates;
        }
        self
    }

    /// The database alone, by `url` if there is one, for chores that need nothing else.
    pub(crate) fn load_database(
        environment: &Environment,
        file: Option<PathBuf>,
        url: Option<String>,
    ) -> Result<Database, BadConfig> {
        let mut raw = Raw::collect(environment, file);
        if let Some(url) = url {
            raw.put(&settings::DATABASE_URL, url, "--database-url");
        }
        check::check_database(&raw)
    }

    /// The PBXs alone, for looking at one without starting a node.
    pub(crate) fn load_asterisk(environment: &Environment, file: Option<PathBuf>) -> Result<Vec<Asterisk>, BadConfig> {
        check::check_asterisk(&Raw::collect(environment, file))
    }
}

/// Whether a setting is among these.
fn is_one_of(settings: &[&Setting], setting: &Setting) -> bool {
    settings.iter().any(|one| one.key == setting.key)
}
