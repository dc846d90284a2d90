//! From texts to plain values. Every problem is found before any is reported.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use hookswitch::gateway::{AllowedOrigins, InvalidJwtConfig, JwtAlgorithm, JwtAuthenticator, JwtConfig};
use hookswitch::protocol::Secret;
use hookswitch::runtime::Clock;
use hookswitch::webhooks::AddressPolicy;

use super::raw::{Given, Raw};
use super::settings::{self, Kind, Setting};
use super::values::{self, BadDatabase};
use super::{BadConfig, Config, Log, LogFormat, Problem, Server, WebSocket, Webhooks};

/// Shorter secrets are found by trying.
const SECRET_MIN_BYTES: usize = 8;
/// What HS256 is meant to be used with (RFC 7518, section 3.2).
const SECRET_GOOD_BYTES: usize = 32;

pub(super) fn check(raw: &Raw) -> Result<Config, BadConfig> {
    let mut checker = Checker { raw, problems: raw.problems.clone(), warnings: raw.warnings.clone() };
    checker.refuse_unsupported();
    let config = Config {
        server: checker.server(),
        database: checker.database(),
        tokens: checker.tokens(),
        websocket: checker.websocket(),
        webhooks: checker.webhooks(),
        log: checker.log(),
        warnings: Vec::new(),
    };
    if !checker.problems.is_empty() {
        return Err(BadConfig { problems: checker.problems, warnings: checker.warnings });
    }
    Ok(Config { warnings: checker.warnings, ..config })
}

/// The settings of logs alone.
pub(super) fn check_log(raw: &Raw) -> Result<Log, BadConfig> {
    let mut checker = Checker { raw, problems: raw.problems.clone(), warnings: Vec::new() };
    let log = checker.log();
    if checker.problems.is_empty() {
        Ok(log)
    } else {
        Err(BadConfig { problems: checker.problems, warnings: Vec::new() })
    }
}

/// Reads settings; where one is wrong it notes the problem and goes on with the default.
struct Checker<'a> {
    raw: &'a Raw,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Checker<'_> {
    fn server(&mut self) -> Server {
        let host = self.text(&settings::SERVER_HOST);
        let address = values::address(&host).unwrap_or_else(|| {
            self.refuse(
                &settings::SERVER_HOST,
                &format!("{host:?} is not an IP address"),
                "write 0.0.0.0, 127.0.0.1 or ::",
            );
            std::net::Ipv4Addr::LOCALHOST.into()
        });
        Server {
            host: address,
            port: self.number(&settings::SERVER_PORT) as u16,
            port_hint: "SERVER_PORT",
            shutdown_deadline: self.duration(&settings::SHUTDOWN_TIMEOUT),
        }
    }

    fn database(&mut self) -> PathBuf {
        let file = values::sqlite_file(&self.text(&settings::DATABASE_URL));
        let (wrong, remedy) = match file {
            Ok(path) => {
                self.check_directory(&path);
                return path;
            }
            Err(BadDatabase::MySql) => {
                ("MySQL/MariaDB support is not in this version", "use sqlite://path/to/file.db or unset it")
            }
            Err(BadDatabase::UnknownScheme) => ("has no scheme we know", "write sqlite://path/to/file.db"),
            Err(BadDatabase::InMemory) => {
                ("a database in memory would forget what was promised to survive", "write sqlite://path/to/file.db")
            }
            Err(BadDatabase::NoPath) => ("names no file", "write sqlite://path/to/file.db"),
        };
        self.refuse(&settings::DATABASE_URL, wrong, remedy);
        PathBuf::new()
    }

    /// Directories are not made at start: a mistyped path would begin an empty database.
    fn check_directory(&mut self, file: &Path) {
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        if let Some(missing) = directory.filter(|directory| !directory.is_dir()) {
            let wrong = format!("the directory \"{}\" does not exist", missing.display());
            self.refuse(&settings::DATABASE_URL, &wrong, "make it or correct the path");
        } else if file.is_dir() {
            let wrong = format!("\"{}\" is a directory", file.display());
            self.refuse(&settings::DATABASE_URL, &wrong, "name a file in it: sqlite://path/to/file.db");
        }
    }

    /// Settings of earlier deployments that would silently mean less than they say.
    fn refuse_unsupported(&mut self) {
        let has_url = self.raw.get(&settings::DATABASE_URL).is_some();
        for &name in &self.raw.unsupported {
            let is_mysql = settings::MYSQL_VARIABLES.contains(&name);
            if is_mysql && has_url {
                self.warnings.push(format!("{name} is ignored because DATABASE_URL is set"));
                continue;
            }
            let (wrong, remedy) = if is_mysql {
                (
                    "MySQL/MariaDB support is not in this version",
                    "unset it, or set DATABASE_URL=sqlite://path/to/file.db",
                )
            } else {
                ("Redis support (several nodes) is not in this version", "unset it to run a single node")
            };
            self.problems.push(Problem { key: name.to_owned(), wrong: wrong.to_owned(), remedy: remedy.to_owned() });
        }
    }

    fn tokens(&mut self) -> JwtConfig {
        let secret = self.raw.get(&settings::JWT_SECRET).map(|given| Secret::new(given.text.as_str()));
        let public_key_pem = self.public_key();
        let has_public_key = self.raw.get(&settings::JWT_PUBLIC_KEY_FILE).is_some();
        match &secret {
            // What an unreadable file says of keys, nobody knows.
            None if !has_public_key && !self.raw.file_is_unreadable => self.refuse(
                &settings::JWT_SECRET,
                "is not set, so no token could be verified",
                "set it to your identity provider's HS256 secret, or set JWT_PUBLIC_KEY_FILE",
            ),
            Some(secret) if secret.reveal().len() < SECRET_MIN_BYTES => self.refuse(
                &settings::JWT_SECRET,
                &format!("is shorter than {SECRET_MIN_BYTES} bytes"),
                "use 32 random bytes or more, e.g. from `openssl rand -hex 32`",
            ),
            Some(secret) if secret.reveal().len() < SECRET_GOOD_BYTES => self.warnings.push(format!(
                "{} is shorter than {SECRET_GOOD_BYTES} bytes: it can be guessed from one token; use a longer one",
                self.raw.place(&settings::JWT_SECRET)
            )),
            _ => {}
        }
        let algorithm = |text: &str| JwtAlgorithm::from_str(text).map_err(|error| error.to_string());
        let algorithms = self.list(&settings::JWT_ALGORITHMS, algorithm, "separate them by commas");
        let config = JwtConfig { secret, public_key_pem, algorithms, ..JwtConfig::default() };
        self.try_keys(&config, has_public_key);
        config
    }

    /// Asks the verifier itself whether it could work with these keys.
    fn try_keys(&mut self, config: &JwtConfig, has_public_key: bool) {
        let unreadable = has_public_key && config.public_key_pem.is_none();
        match JwtAuthenticator::new(config, Clock::system()) {
            Err(InvalidJwtConfig::BadKey) => {
                let remedy = "use an RSA, P-256 or Ed25519 public key (-----BEGIN PUBLIC KEY-----)";
                self.refuse(&settings::JWT_PUBLIC_KEY_FILE, "holds no public key of a kind we know", remedy);
            }
            Err(error @ InvalidJwtConfig::NoKeyFor { .. }) if !unreadable && !self.raw.file_is_unreadable => {
                let remedy = "set JWT_SECRET for HS256, JWT_PUBLIC_KEY_FILE for the others";
                self.refuse(&settings::JWT_ALGORITHMS, &error.to_string(), remedy);
            }
            // No key at all, or an unreadable one, has been reported by its own name.
            _ => {}
        }
    }

    fn public_key(&mut self) -> Option<String> {
        let path = self.raw.get(&settings::JWT_PUBLIC_KEY_FILE)?.text.clone();
        let (wrong, remedy) = match std::fs::read_to_string(&path) {
            Ok(pem) if pem.contains("PRIVATE KEY") => {
                ("holds a private key".to_owned(), "name the public key; the private one belongs to the signer alone")
            }
            Ok(pem) => return Some(pem),
            Err(error) => (format!("{path:?} cannot be read: {error}"), "name a readable PEM file"),
        };
        self.refuse(&settings::JWT_PUBLIC_KEY_FILE, &wrong, remedy);
        None
    }

    fn websocket(&mut self) -> WebSocket {
        let ping_interval = self.duration(&settings::WS_PING_INTERVAL);
        let pong_timeout = self.duration(&settings::WS_PONG_TIMEOUT);
        if pong_timeout <= ping_interval {
            let remedy = "raise WS_PONG_TIMEOUT or lower WS_PING_INTERVAL, or every quiet client is closed";
            self.refuse(&settings::WS_PONG_TIMEOUT, "is not above WS_PING_INTERVAL", remedy);
        }
        // Checked and otherwise without effect, see the setting's doc.
        self.number(&settings::WS_WRITE_BUFFER_SIZE);
        WebSocket {
            ping_interval,
            pong_timeout,
            read_buffer_bytes: self.number(&settings::WS_READ_BUFFER_SIZE) as usize,
            origins: self.origins(&settings::WS_ALLOWED_ORIGINS),
            public_origins: self.origins(&settings::WS_PUBLIC_ALLOWED_ORIGINS),
        }
    }

    fn origins(&mut self, setting: &Setting) -> AllowedOrigins {
        let entry = |text: &str| AllowedOrigins::parse(text).map(|_| text.to_owned()).map_err(|e| e.to_string());
        let entries = self.list(setting, entry, "write scheme, host and port only, separated by commas, or *");
        AllowedOrigins::parse(&entries.join(",")).unwrap_or(AllowedOrigins::SameHost)
    }

    fn webhooks(&mut self) -> Webhooks {
        let policy = AddressPolicy::strict();
        let entry = |text: &str| policy.clone().allow_cidrs(text).map(|_| text.to_owned()).map_err(|e| e.to_string());
        let cidrs = self.list(&settings::WEBHOOK_ALLOW_CIDRS, entry, "separate them by commas").join(",");
        let policy = if self.switch(&settings::WEBHOOK_ALLOW_HTTP) { policy.allow_http() } else { policy };
        Webhooks {
            addresses: policy.clone().allow_cidrs(&cidrs).unwrap_or(policy),
            concurrency: self.number(&settings::WEBHOOK_CONCURRENCY) as usize,
        }
    }

    fn log(&mut self) -> Log {
        let filter = self.text(&settings::HOOKSWITCH_LOG);
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&filter) {
            let wrong = format!("{filter:?} is no filter: {error}");
            self.refuse(&settings::HOOKSWITCH_LOG, &wrong, "write e.g. info or info,hookswitch_hub=debug");
        }
        let format = self.text(&settings::HOOKSWITCH_LOG_FORMAT);
        let format = match format.as_str() {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            other => {
                self.refuse(&settings::HOOKSWITCH_LOG_FORMAT, &format!("{other:?} is no format"), "write text or json");
                LogFormat::Text
            }
        };
        Log { filter, format }
    }

    fn text(&self, setting: &Setting) -> String {
        self.raw.get(setting).map_or_else(|| setting.default.to_owned(), |Given { text, .. }| text.clone())
    }

    fn number(&mut self, setting: &Setting) -> u64 {
        let Kind::Number { min, max } = setting.kind else { unreachable!("{} is a number", setting.env) };
        let text = self.text(setting);
        match text.parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                let wrong = format!("{text:?} is not a whole number from {min} to {max}");
                self.refuse(setting, &wrong, &format!("the default is {}", setting.default));
                min
            }
        }
    }

    fn duration(&mut self, setting: &Setting) -> Duration {
        let Kind::Duration { min, max } = setting.kind else { unreachable!("{} is a duration", setting.env) };
        let text = self.text(setting);
        match values::duration(&text) {
            Some(duration) if (min..=max).contains(&duration) => duration,
            Some(_) => {
                let (min, max) = (values::print_duration(min), values::print_duration(max));
                self.refuse(
                    setting,
                    &format!("{text:?} is not between {min} and {max}"),
                    &format!("the default is {}", setting.default),
                );
                default_duration(setting)
            }
            None => {
                self.refuse(
                    setting,
                    &format!("{text:?} is not a duration"),
                    "write a number and a unit, like 500ms, 30s or 5m",
                );
                default_duration(setting)
            }
        }
    }

    fn switch(&mut self, setting: &Setting) -> bool {
        let text = self.text(setting);
        values::switch(&text).unwrap_or_else(|| {
            self.refuse(setting, &format!("{text:?} is neither true nor false"), "write true or false");
            false
        })
    }

    fn list<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Result<T, String>, remedy: &str) -> Vec<T> {
        let text = self.text(setting);
        let (good, bad): (Vec<_>, Vec<_>) = values::list(&text).map(parse).partition(Result::is_ok);
        for wrong in bad.into_iter().filter_map(Result::err) {
            self.refuse(setting, &wrong, remedy);
        }
        good.into_iter().filter_map(Result::ok).collect()
    }

    fn refuse(&mut self, setting: &Setting, wrong: &str, remedy: &str) {
        self.problems.push(Problem {
            key: self.raw.place(setting),
            wrong: wrong.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

fn default_duration(setting: &Setting) -> Duration {
    values::duration(setting.default).expect("defaults are durations, as a test proves")
}

#[cfg(test)]
mod tests;
