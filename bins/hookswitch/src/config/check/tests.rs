//! Good and bad configurations, as data.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hookswitch::gateway::{AllowedOrigins, GatewayConfig};
use hookswitch::protocol::Secret;
use hookswitch::redis::RedisConfig;
use hookswitch::store::MySqlConfig;
use hookswitch::webhooks::{AddressPolicy, WebhookConfig};

use super::super::Environment;
use super::*;

mod tried;

pub(super) const GOOD_SECRET: (&str, &str) = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");

pub(super) fn load<const N: usize>(pairs: [(&str, &str); N]) -> Result<Config, BadConfig> {
    Config::load(&Environment::from(pairs), None)
}

/// The keys of the problems, in order.
fn problems<const N: usize>(pairs: [(&str, &str); N]) -> Vec<String> {
    load(pairs).expect_err("bad on purpose").problems.into_iter().map(|problem| problem.key).collect()
}

pub(super) fn with_file(text: &str) -> Result<Config, BadConfig> {
    let dir = tempfile::TempDir::new().expect("a directory");
    let path = dir.path().join("hookswitch.toml");
    std::fs::write(&path, text).expect("the file can be written");
    Config::load(&Environment::from([("SERVER_PORT", "81"), GOOD_SECRET]), Some(path))
}

#[test]
fn a_secret_is_enough_and_defaults_are_the_contracts() {
    let config = load([GOOD_SECRET]).expect("good");
    assert_eq!((config.server.host.to_string().as_str(), config.server.port), ("0.0.0.0", 8000));
    assert_eq!(config.server.shutdown_deadline, Duration::from_secs(5));
    assert_eq!((config.server.drain_window, config.server.admin_tenant), (Duration::ZERO, None));
    assert!(!config.server.console);
    assert!(matches!(&config.database, Database::Sqlite(path) if path == Path::new("./hookswitch.db")));
    assert_eq!(config.websocket.ping_interval, Duration::from_secs(54));
    assert_eq!(config.websocket.pong_timeout, Duration::from_mins(1));
    assert_eq!((config.websocket.read_buffer_bytes, config.websocket.balance_rate), (1024, 10));
    assert_eq!(config.websocket.compression_from, GatewayConfig::default().compression_from);
    assert_eq!(config.websocket.origins, AllowedOrigins::SameHost);
    assert_eq!(config.websocket.public_origins, AllowedOrigins::Any);
    assert_eq!(config.webhooks.addresses, AddressPolicy::strict());
    assert_eq!(config.webhooks.concurrency, 512);
    assert_eq!(config.server.tenant_rate_limit, None);
    let (deliveries, defaults) = (&config.webhooks.deliveries, WebhookConfig::default());
    assert_eq!((deliveries.per_webhook, deliveries.tenant_rate_limit), (defaults.per_webhook, None));
    assert_eq!(deliveries.max_per_tenant, defaults.max_per_tenant);
    assert_eq!(deliveries.expiry, defaults.expiry);
    assert_eq!((deliveries.disable_after, deliveries.retention), (defaults.disable.after, defaults.retention));
    assert!(deliveries.secret_keys.is_empty());
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn every_problem_is_listed_at_once_with_what_to_do() {
    let error = load([
        ("SERVER_HOST", "example.com"),
        ("SERVER_PORT", "80000"),
        ("DATABASE_URL", "mysql://user:hunter2@host"),
        ("JWT_SECRET", "short"),
        ("JWT_ALGORITHMS", "none"),
        ("WS_PING_INTERVAL", "54"),
        ("WS_ALLOWED_ORIGINS", "desk.example.com"),
        ("WEBHOOK_ALLOW_HTTP", "maybe"),
        ("WEBHOOK_ALLOW_CIDRS", "10.0.0.0/8,10.0.0.0/99"),
        ("WEBHOOK_PROXY", "socks5://user:hunter2@proxy:1080"),
        ("WEBHOOK_CA_FILE", "Cargo.toml"),
        ("WEBHOOK_DNS_SERVERS", "10.0.0.2,dns.internal"),
        ("REDIS_URL", "redis://:hunter2@host/nine"),
        ("REDIS_PREFIX", "call center"),
        ("HOOKSWITCH_LOG_FORMAT", "xml"),
    ])
    .expect_err("bad on purpose");
    let text = error.to_string();
    assert_eq!(error.problems.len(), 15, "{text}");
    for expected in [
        "SERVER_PORT: \"80000\" is not a whole number from 0 to 65535; the default is 8000",
        "DATABASE_URL: names no database; write mysql://user:password@host:3306/database",
        "REDIS_URL: has a path that is no database number from 0 to 255; write redis://",
        "REDIS_PREFIX: \"call center\" holds ' '",
        "WEBHOOK_PROXY: the proxy must be spoken to over http; write a proxy as http://",
        "WEBHOOK_CA_FILE: \"Cargo.toml\" holds no authorities: there is no certificate in PEM form in it",
        "WEBHOOK_DNS_SERVERS: \"dns.internal\" is no name server such as 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53",
        "JWT_SECRET: is shorter than 8 bytes; use 32 random bytes",
        "WS_PING_INTERVAL: \"54\" is not a duration; write a number and a unit",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("short\""), "{text}");
}

#[test]
fn every_mistake_about_deliveries_is_listed_and_no_key_is_quoted() {
    let short = "ab".repeat(31);
    let error = load([
        GOOD_SECRET,
        ("SERVER_TENANT_RATE_LIMIT", "off"),
        ("WEBHOOK_PER_WEBHOOK", "0"),
        ("WEBHOOK_TENANT_RATE_LIMIT", "-1"),
        ("WEBHOOK_EXPIRY", "queue.stats,Call=5s,call.*=1.5s,chat.*=8d,alert=100ms,ticket.*=1s,ticket.*=2s"),
        ("WEBHOOK_DISABLE_AFTER", "366d"),
        ("WEBHOOK_RETENTION", "59m"),
        ("WEBHOOK_SECRET_KEY", &format!("{},{short}", "ab".repeat(32))),
    ])
    .expect_err("bad on purpose");
    let text = error.to_string();
    for expected in [
        "SERVER_TENANT_RATE_LIMIT: \"off\" is not a whole number from 0 to 1000000",
        "WEBHOOK_PER_WEBHOOK: \"0\" is not a whole number from 1 to 100; the default is 10",
        "WEBHOOK_TENANT_RATE_LIMIT: \"-1\"",
        "WEBHOOK_EXPIRY: \"queue.stats\" has no =; write event types or patterns and durations",
        "WEBHOOK_EXPIRY: \"Call\" holds 'C'",
        "WEBHOOK_EXPIRY: \"1.5s\" after call.*= is not a duration",
        "WEBHOOK_EXPIRY: 8d after chat.*= is not 0s to 7d in whole seconds",
        "WEBHOOK_EXPIRY: 100ms after alert= is not 0s to 7d",
        "WEBHOOK_EXPIRY: ticket.* stands there twice",
        "WEBHOOK_DISABLE_AFTER: \"366d\" is not between 0s and 365d; the default is 5d",
        "WEBHOOK_RETENTION: \"59m\" is not between 1h and 3650d; the default is 30d",
        "WEBHOOK_SECRET_KEY: key number 2 is not 32 bytes in base64 or hex; make one by",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
    assert_eq!(error.problems.len(), 12, "{text}");
    assert!(!text.contains("abab"), "{text}");
}

#[test]
fn the_threads_of_websockets_can_be_set() {
    let threads = |text: &str| load([GOOD_SECRET, ("WS_THREADS", text)]).map(|config| config.websocket.threads);
    assert_eq!(threads("0").expect("good"), None);
    assert_eq!(threads("3").expect("good").map(std::num::NonZeroUsize::get), Some(3));
    let error = threads("256").expect_err("too many").to_string();
    assert!(error.contains("WS_THREADS: \"256\" is not a whole number from 0 to 255; the default is 0"), "{error}");
}

#[test]
fn the_chat_sessions_of_one_tenant_are_bounded_as_the_operator_says() {
    let default = load([GOOD_SECRET]).expect("good").websocket.sessions_per_tenant;
    assert_eq!(default, hookswitch::hub::HubConfig::default().max_tenant_sessions);
    let set = load([GOOD_SECRET, ("WS_SESSIONS_PER_TENANT", "7")]).expect("good");
    assert_eq!(set.websocket.sessions_per_tenant, 7);
}

#[test]
fn recent_history_is_as_large_as_the_operator_says() {
    let default = load([GOOD_SECRET]).expect("good").history;
    assert_eq!(default, hookswitch::hub::HistoryLimits::default());
    let said = [GOOD_SECRET, ("HISTORY_EVENTS", "20000"), ("HISTORY_BYTES", "16777216"), ("HISTORY_AGE", "1h")];
    let set = load(said).expect("good").history;
    assert_eq!((set.events, set.bytes, set.age), (20_000, 16_777_216, std::time::Duration::from_hours(1)));
    let set = load([GOOD_SECRET, ("HISTORY_URGENT", "alert")]).expect("good").event_classes;
    let default = hookswitch::hub::EventClasses::default();
    assert_eq!((set.urgent.len(), &set.latest), (1, &default.latest));
    assert_eq!(load([GOOD_SECRET]).expect("good").event_classes, default);
    assert_eq!(problems([GOOD_SECRET, ("HISTORY_LATEST", "a b")]), ["HISTORY_LATEST"]);
    assert!(load([GOOD_SECRET, ("HISTORY_URGENT", ""), ("HISTORY_LATEST", "*")]).is_ok(), "none, and all");
    for (given, quoted) in [
        ("alert,Call.*", "\"Call.*\" is no event type"),
        ("alert,,call.*", "\"\" is no event type"),
        ("alert, call.* ,alert", "\"alert\" stands there twice"),
        ("call*", "\"call*\" is no event type"),
    ] {
        let error = load([GOOD_SECRET, ("HISTORY_URGENT", given)]).expect_err(given);
        let told = error.problems[0].to_string();
        assert!(told.starts_with(&format!("HISTORY_URGENT: {quoted}")), "{told}");
        assert_eq!(error.problems.len(), 1, "{error}");
    }
    let twice = load([GOOD_SECRET, ("HISTORY_LATEST", "queue.stats,alert")]).expect_err("it is urgent").to_string();
    assert!(twice.contains("HISTORY_LATEST: \"alert\" has no effect: it is in HISTORY_URGENT already"), "{twice}");
    let more_than_all = [GOOD_SECRET, ("HISTORY_BYTES", "2000000"), ("HISTORY_TOTAL_BYTES", "1000000")];
    assert_eq!(problems(more_than_all), ["HISTORY_BYTES"]);
}

#[test]
fn deliveries_are_paced_and_kept_as_the_operator_says() {
    let config = load([
        GOOD_SECRET,
        ("SERVER_TENANT_RATE_LIMIT", "100"),
        ("WEBHOOK_PER_WEBHOOK", "3"),
        ("WEBHOOK_MAX_PER_TENANT", "20"),
        ("WEBHOOK_TENANT_RATE_LIMIT", "50"),
        ("WEBHOOK_EXPIRY", "queue.*=1m, * = 7d,call.ended=0s"),
        ("WEBHOOK_DISABLE_AFTER", "0s"),
        ("WEBHOOK_RETENTION", "90d"),
        ("WEBHOOK_SECRET_KEY", &format!("{}, AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "ab".repeat(32))),
    ])
    .expect("good");
    let deliveries = &config.webhooks.deliveries;
    let rate = |limit: Option<std::num::NonZeroU32>| limit.map(std::num::NonZeroU32::get);
    assert_eq!((rate(config.server.tenant_rate_limit), rate(deliveries.tenant_rate_limit)), (Some(100), Some(50)));
    let expiry = [("queue.*", 60), ("*", 604_800), ("call.ended", 0)];
    assert_eq!(deliveries.expiry, expiry.map(|(name, secs)| (name.to_owned(), secs)).into());
    assert!(deliveries.disable_after > Duration::from_hours(24 * 365), "never");
    assert_eq!(deliveries.max_per_tenant, 20);
    assert_eq!((deliveries.per_webhook, deliveries.retention), (3, Duration::from_hours(90 * 24)));
    assert!(!deliveries.secret_keys.is_empty());
    assert!(!format!("{config:?}").contains("abab"), "keys are never printed");
}

#[test]
fn webhooks_can_go_through_a_proxy() {
    let given = [GOOD_SECRET, ("WEBHOOK_PROXY", "http://user:hunter2@proxy.internal:3128")];
    let addresses = load(given).expect("good").webhooks.addresses;
    assert_eq!(addresses.proxy_address().as_deref(), Some("http://proxy.internal:3128/"));
    assert!(!format!("{addresses:?}").contains("hunter2"), "{addresses:?}");
    assert_eq!(problems([GOOD_SECRET, ("WEBHOOK_CA_FILE", "no/such/file.pem")]), ["WEBHOOK_CA_FILE"]);
}

#[test]
fn names_of_receivers_are_looked_up_where_the_operator_says() {
    let addresses =
        |servers: &str| load([GOOD_SECRET, ("WEBHOOK_DNS_SERVERS", servers)]).expect("good").webhooks.addresses;
    let asks = |servers: &str| AddressPolicy::strict().ask_name_servers(servers).expect("good");
    assert_eq!(addresses("10.0.0.2, [fd00::2]:5353"), asks("10.0.0.2:53,[fd00::2]:5353"));
    assert_eq!(addresses(""), AddressPolicy::strict());
}

#[test]
fn a_missing_secret_is_refused_and_a_short_one_is_a_warning() {
    assert_eq!(problems([]), ["JWT_SECRET"]);
    assert_eq!(problems([("JWT_SECRET", "")]), ["JWT_SECRET"]);
    let warnings = load([("JWT_SECRET", "twelve bytes")]).expect("good").warnings;
    assert!(matches!(warnings.as_slice(), [only] if only.starts_with("JWT_SECRET is shorter than 32")), "{warnings:?}");
}

#[test]
fn a_public_key_that_cannot_be_used_is_one_problem() {
    assert_eq!(problems([("JWT_PUBLIC_KEY_FILE", "no/such/file.pem")]), ["JWT_PUBLIC_KEY_FILE"]);
    assert_eq!(problems([("JWT_PUBLIC_KEY_FILE", "Cargo.toml")]), ["JWT_PUBLIC_KEY_FILE"]);
    assert_eq!(problems([GOOD_SECRET, ("JWT_ALGORITHMS", "RS256")]), ["JWT_ALGORITHMS"]);
}

fn server(pairs: &[(&str, &str)]) -> MySqlConfig {
    let environment = Environment::from_pairs(&[&[GOOD_SECRET], pairs].concat());
    match Config::load(&environment, None).expect("good").database {
        Database::MySql(server) => *server,
        Database::Sqlite(path) => panic!("a file: {}", path.display()),
    }
}

#[test]
fn a_database_server_is_named_by_a_url_or_by_its_parts() {
    let by_url = server(&[("DATABASE_URL", "mysql://hub:p%40ss@db:3307/calls")]);
    assert_eq!(by_url.to_string(), "hub@db:3307/calls");
    assert_eq!(by_url.password.as_ref().map(Secret::reveal), Some("p@ss"));
    assert!(!by_url.migrates, "only when told to");
    let parts = [("DB_HOST", "db"), ("DB_USER", "hub"), ("DB_PASSWORD", "p%40ss"), ("DB_NAME", "calls")];
    let by_parts = server(&parts);
    assert_eq!(by_parts.to_string(), "hub@db:3306/calls");
    assert_eq!(by_parts.password.as_ref().map(Secret::reveal), Some("p%40ss"), "as it is");
    assert_eq!(server(&[&parts[..], &[("DB_PORT", "3307")]].concat()).port, 3307);
}

#[test]
fn half_a_database_server_is_refused_unless_a_database_url_wins() {
    assert_eq!(problems([GOOD_SECRET, ("DB_HOST", "db")]), ["DB_USER", "DB_NAME"]);
    assert_eq!(problems([GOOD_SECRET, ("DB_USER", "hub"), ("DB_NAME", "x")]), ["DB_USER", "DB_NAME"]);
    let slip = load([GOOD_SECRET, ("DB_HOST", "mysql://h:hunter2@db/x"), ("DB_USER", "h"), ("DB_NAME", "x")]);
    assert!(!slip.expect_err("no host").to_string().contains("hunter2"));
    let config = load([GOOD_SECRET, ("DB_HOST", "db"), ("DATABASE_URL", "sqlite://x.db")]).expect("good");
    assert_eq!(config.warnings, ["DB_HOST is ignored because DATABASE_URL is set"]);
    assert_eq!(problems([GOOD_SECRET, ("DATABASE_URL", "mysql://h@db/x?tls_ca=no/such.pem")]), ["DATABASE_URL"]);
}

#[test]
fn a_database_that_could_not_be_opened_is_found() {
    let problem = |url: &str| {
        let error = load([GOOD_SECRET, ("DATABASE_URL", url)]).expect_err(url);
        assert_eq!(error.problems.len(), 1, "{error}");
        error.problems[0].to_string()
    };
    assert!(problem("sqlite://no/such/x.db").starts_with("DATABASE_URL: the directory \"no/such\" does not exist"));
    assert!(problem("sqlite://src").starts_with("DATABASE_URL: \"src\" is a directory"));
    assert!(problem("sqlite::memory:").contains("in memory would forget"));
    assert!(load([GOOD_SECRET, ("DATABASE_URL", "sqlite://src/x.db")]).is_ok());
}

#[test]
fn warnings_are_told_beside_problems() {
    let error = load([("JWT_SECERT", "0123456789abcdef0123456789abcdef")]).expect_err("no secret").to_string();
    assert!(error.contains("JWT_SECRET: is not set") && error.contains("\nwarning: JWT_SECERT is set but"), "{error}");
}

#[test]
fn a_bad_log_filter_is_quoted() {
    let error = load([GOOD_SECRET, ("HOOKSWITCH_LOG", "info,=x=loud")]).expect_err("bad").to_string();
    assert!(error.contains("HOOKSWITCH_LOG: \"info,=x=loud\" is no filter"), "{error}");
    let error = load([GOOD_SECRET, ("HOOKSWITCH_LOG", "warning")]).expect_err("no level").to_string();
    assert!(error.contains("HOOKSWITCH_LOG: \"warning\" is no level"), "{error}");
    assert_eq!(problems([GOOD_SECRET, ("RUST_LOG", "verbose")]), ["RUST_LOG"]);
}

#[test]
fn what_an_unreadable_file_may_have_set_is_not_missed() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let broken = dir.path().join("broken.toml");
    std::fs::write(&broken, "[jwt\nsecret = 1").expect("the file can be written");
    for file in [broken, PathBuf::from("no/such.toml")] {
        let name = file.display().to_string();
        let error = Config::load(&Environment::from([("JWT_ALGORITHMS", "HS256")]), Some(file)).expect_err("bad");
        let keys: Vec<_> = error.problems.iter().map(|problem| &problem.key).collect();
        assert_eq!(keys, [&name]);
    }
}

#[test]
fn a_silence_shorter_than_the_ping_is_refused() {
    assert_eq!(problems([GOOD_SECRET, ("WS_PING_INTERVAL", "2m")]), ["WS_PONG_TIMEOUT"]);
    assert!(load([GOOD_SECRET, ("WS_PING_INTERVAL", "2m"), ("WS_PONG_TIMEOUT", "2m1s")]).is_ok());
}

#[test]
fn the_console_is_served_where_that_is_asked_for() {
    assert!(load([GOOD_SECRET, ("CONSOLE", "true")]).expect("good").server.console);
    assert_eq!(problems([GOOD_SECRET, ("CONSOLE", "maybe")]), ["CONSOLE"]);
}

#[test]
fn compression_can_be_switched_off_and_begins_where_it_is_told() {
    let from = |config: Result<Config, BadConfig>| config.expect("good").websocket.compression_from;
    assert_eq!(from(load([GOOD_SECRET])), Some(1_024));
    assert_eq!(from(load([GOOD_SECRET, ("WS_COMPRESSION_FROM", "4096")])), Some(4_096));
    assert_eq!(from(load([GOOD_SECRET, ("WS_COMPRESSION", "false"), ("WS_COMPRESSION_FROM", "4096")])), None);
    assert_eq!(problems([GOOD_SECRET, ("WS_COMPRESSION", "maybe"), ("WS_COMPRESSION_FROM", "1")]).len(), 2);
}

#[test]
fn a_misspelt_variable_is_a_warning_and_a_foreign_one_is_nothing() {
    let config = load([GOOD_SECRET, ("WS_PING_INTERVALL", "1s"), ("HOME", "x"), ("WEBHOOKS", "x")]).expect("good");
    assert!(matches!(config.warnings.as_slice(), [only] if only.starts_with("WS_PING_INTERVALL is set but")));
}

#[test]
fn the_file_is_read_and_the_environment_wins() {
    let config = with_file(
        "[server]\nport = 1\nhost = \"127.0.0.1\"\n[websocket]\nallowed_origins = [\"https://a.example\", \"https://b.example\"]\n\
         [webhooks]\nallow_http = true\n",
    )
    .expect("good");
    assert_eq!((config.server.host.to_string().as_str(), config.server.port), ("127.0.0.1", 81));
    assert!(matches!(config.websocket.origins, AllowedOrigins::List(list) if list.len() == 2));
    assert!(config.webhooks.addresses.is_http_allowed());
}

#[test]
fn what_the_file_cannot_mean_is_an_error() {
    let check = |text: &str, expected: &str| {
        let error = with_file(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{expected} in\n{error}");
    };
    check("[server]\nprot = 1\n", "server.prot in ");
    check("[server]\nprot = 1\n", "is not a key we know; this section knows server.host, server.port");
    check("[sever]\nport = 1\n", "the sections are [server]");
    check("port = 1\n", "port in ");
    check("[server]\nport = 1.5\n", "is a TOML float");
    check("[jwt]\nsecret = \"hunter2\nx\"\n", "is not TOML");
    assert!(!with_file("[jwt]\nsecret = \"hunter2\n").expect_err("bad").to_string().contains("hunter2"));
    let missing = Config::load(&Environment::from([GOOD_SECRET]), Some(PathBuf::from("no/such.toml")));
    assert!(missing.expect_err("missing").to_string().contains("no/such.toml: cannot be read"));
}

#[test]
fn a_node_of_several_drains_over_a_window_and_one_by_itself_at_once() {
    let window = |pairs: [(&str, &str); 3]| load(pairs).map(|config| config.server.drain_window).ok();
    let redis = ("REDIS_HOST", "localhost");
    assert_eq!(window([GOOD_SECRET, redis, ("SERVER_PORT", "0")]), Some(Duration::from_secs(20)));
    assert_eq!(window([GOOD_SECRET, redis, ("DRAIN_WINDOW", "0s")]), Some(Duration::ZERO));
    assert_eq!(window([GOOD_SECRET, redis, ("DRAIN_WINDOW", "3m")]), Some(Duration::from_mins(3)));
    let chosen = load([GOOD_SECRET, ("DRAIN_WINDOW", "3s")]).expect("good");
    assert_eq!(chosen.server.drain_window, Duration::from_secs(3));
    assert!(chosen.warnings.iter().any(|warning| warning.contains("DRAIN_WINDOW")), "{:?}", chosen.warnings);
    assert_eq!(problems([GOOD_SECRET, redis, ("SERVER_SHUTDOWN_TIMEOUT", "1s")]), ["SERVER_SHUTDOWN_TIMEOUT"]);
    assert!(load([GOOD_SECRET, ("SERVER_SHUTDOWN_TIMEOUT", "1s")]).is_ok(), "by itself it has nobody to listen to");
    assert!(load([GOOD_SECRET, redis, ("SERVER_SHUTDOWN_TIMEOUT", "2s")]).is_ok());
    assert_eq!(problems([GOOD_SECRET, ("SERVER_ADMIN_TENANT", "no such/tenant")]), ["SERVER_ADMIN_TENANT"]);
    let held = load([GOOD_SECRET, redis]).expect("good").redis.expect("a node of several").presence_hold;
    assert_eq!(held, RedisConfig::parse_url("redis://localhost").expect("a URL").presence_hold);
}
