//! Every setting of `serve`: its names, its default, its bounds and its meaning. `docs/config.md` is printed from here.

mod asterisk;
mod connections;
mod database;
mod deliveries;
mod history;
mod redis;
mod server;

use std::time::Duration;

pub(crate) use self::asterisk::{
    ASTERISK_ADDRESS, ASTERISK_AGENTS, ASTERISK_AGENTS_FILE, ASTERISK_ALERT, ASTERISK_NAME, ASTERISK_OUTSIDE,
    ASTERISK_SECRET, ASTERISK_SECRET_FILE, ASTERISK_TENANT, ASTERISK_TLS, ASTERISK_USER,
};
pub(crate) use self::connections::{
    WS_BALANCE_RATE, WS_COMPRESSION, WS_COMPRESSION_FROM, WS_CONNECTIONS_PER_SESSION, WS_CONNECTIONS_PER_TENANT,
    WS_CONNECTIONS_PER_USER,
};
pub(crate) use self::database::{DATABASE_URL, DB_HOST, DB_NAME, DB_PASSWORD, DB_PORT, DB_USER};
pub(crate) use self::deliveries::{
    WEBHOOK_DISABLE_AFTER, WEBHOOK_EXPIRY, WEBHOOK_MAX_PER_TENANT, WEBHOOK_PER_WEBHOOK, WEBHOOK_RETENTION,
    WEBHOOK_SECRET_KEY, WEBHOOK_TENANT_RATE_LIMIT,
};
pub(crate) use self::history::{
    HISTORY_AGE, HISTORY_BYTES, HISTORY_EVENTS, HISTORY_LATEST, HISTORY_TOTAL_BYTES, HISTORY_URGENT,
};
pub(crate) use self::redis::{
    DRAIN_PRESENCE_HOLD, REDIS_CA_FILE, REDIS_DB, REDIS_HOST, REDIS_NODE_LEASE, REDIS_PASSWORD, REDIS_PORT,
    REDIS_PREFIX, REDIS_SHARDED_PUBSUB, REDIS_URL,
};
pub(crate) use self::server::{
    CONSOLE, DRAIN_WINDOW, SERVER_ADMIN_TENANT, SERVER_HEADER_BYTES, SERVER_HOST, SERVER_IDLE_TIMEOUT,
    SERVER_MAX_CONNECTIONS, SERVER_PORT, SERVER_TENANT_RATE_LIMIT, SHUTDOWN_TIMEOUT,
};

/// One thing an operator can set, by variable or by TOML key.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) env: &'static str,
    /// `section.key` in the TOML file.
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    /// As an operator would write it; empty where there is none.
    pub(crate) default: &'static str,
    /// Meaning, and what goes wrong with a bad choice.
    pub(crate) doc: &'static str,
}

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// Text that is never printed.
    Secret,
    /// Printed only once it is known to hold no password.
    Url,
    Bool,
    Number {
        min: u64,
        max: u64,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    /// Separated by commas in a variable, an array in TOML.
    List,
}

const fn seconds(min: u64, max: u64) -> Kind {
    Kind::Duration { min: Duration::from_secs(min), max: Duration::from_secs(max) }
}

pub(crate) const JWT_SECRET: Setting = Setting {
    env: "JWT_SECRET",
    key: "jwt.secret",
    kind: Kind::Secret,
    default: "",
    doc: "The shared secret of HS256 tokens, the same that your identity provider signs with. Required unless \
          `JWT_PUBLIC_KEY_FILE` is set. Under 8 bytes is refused; under 32 bytes is a warning, because a short secret \
          can be guessed from a single token and then opens every tenant.",
};

pub(crate) const JWT_PUBLIC_KEY_FILE: Setting = Setting {
    env: "JWT_PUBLIC_KEY_FILE",
    key: "jwt.public_key_file",
    kind: Kind::Text,
    default: "",
    doc: "A PEM file with the public key (RSA of 2048 to 8192 bits, P-256 or Ed25519) of whoever signs your tokens. With it no shared \
          secret is needed.",
};

pub(crate) const JWT_ALGORITHMS: Setting = Setting {
    env: "JWT_ALGORITHMS",
    key: "jwt.algorithms",
    kind: Kind::List,
    default: "",
    doc: "The signature algorithms accepted: `HS256`, `RS256`, `ES256`, `EdDSA`. Without it: `HS256` when there is a \
          secret, and the algorithm of the public key when there is one. A token with any other algorithm is refused, \
          `none` always.",
};

pub(crate) const WS_PING_INTERVAL: Setting = Setting {
    env: "WS_PING_INTERVAL",
    key: "websocket.ping_interval",
    kind: seconds(1, 3_600),
    default: "54s",
    doc: "How often the server pings each WebSocket connection. Must be below `WS_PONG_TIMEOUT`. Too small costs \
          processor time and batteries; too large, and proxies close connections that look idle.",
};

pub(crate) const WS_PONG_TIMEOUT: Setting = Setting {
    env: "WS_PONG_TIMEOUT",
    key: "websocket.pong_timeout",
    kind: seconds(2, 7_200),
    default: "60s",
    doc: "A connection from which nothing was heard for this long is closed with code 4408. Too small closes healthy \
          connections on slow networks; too large keeps dead ones counted as online. An event stream is closed when its \
          client has taken nothing for as long.",
};

pub(crate) const WS_THREADS: Setting = Setting {
    env: "WS_THREADS",
    key: "websocket.threads",
    kind: Kind::Number { min: 0, max: 255 },
    default: "0",
    doc: "The threads that own the WebSocket connections and write to them; 0 is one for every two processors. The other \
          half has HTTP, webhooks and the system's own network work to do. More threads deliver a large tenant's event \
          sooner as long as processors are idle, and each event costs more.",
};

pub(crate) const WS_SESSIONS_PER_TENANT: Setting = Setting {
    env: "WS_SESSIONS_PER_TENANT",
    key: "websocket.sessions_per_tenant",
    kind: Kind::Number { min: 1, max: 1_000_000 },
    default: "250000",
    doc: "Chat sessions that one tenant may have live at a time, as far as this node knows. The start of a further one is \
          refused with 503. All tenants together may have 1,000,000, and none more than are left, so that there is \
          always room for the first sessions of another.",
};

pub(crate) const WS_READ_BUFFER_SIZE: Setting = Setting {
    env: "WS_READ_BUFFER_SIZE",
    key: "websocket.read_buffer_size",
    kind: Kind::Number { min: 256, max: 65_536 },
    default: "1024",
    doc: "The largest single read from a WebSocket connection, in bytes. Larger messages take several reads; the limit \
          of a message stays 512 KiB.",
};

pub(crate) const WS_WRITE_BUFFER_SIZE: Setting = Setting {
    env: "WS_WRITE_BUFFER_SIZE",
    key: "websocket.write_buffer_size",
    kind: Kind::Number { min: 256, max: 65_536 },
    default: "1024",
    doc: "Accepted for existing deployments, in bytes, and without effect: outgoing events are shared between \
          connections and are not copied into a buffer of each.",
};

pub(crate) const WS_ALLOWED_ORIGINS: Setting = Setting {
    env: "WS_ALLOWED_ORIGINS",
    key: "websocket.allowed_origins",
    kind: Kind::List,
    default: "",
    doc: "The origins whose pages may open `/ws` and call the REST API: of the web, `https://desk.example.com`; all \
          subdomains of a host, at any depth, but not the host itself, `https://*.example.com`; of apps, \
          `capacitor://localhost`, `tauri://localhost`, `chrome-extension://…`; and `null`, which sandboxed pages and \
          local files send, whoever made them. Empty: only pages served from this very host and port. `*` allows \
          every page. Clients that send no `Origin`, such as back-ends, are always let through to the token check.",
};

pub(crate) const WS_PUBLIC_ALLOWED_ORIGINS: Setting = Setting {
    env: "WS_PUBLIC_ALLOWED_ORIGINS",
    key: "websocket.public_allowed_origins",
    kind: Kind::List,
    default: "*",
    doc: "The same for `/ws/public`, the connections of chat visitors.",
};

pub(crate) const WEBHOOK_ALLOW_HTTP: Setting = Setting {
    env: "WEBHOOK_ALLOW_HTTP",
    key: "webhooks.allow_http",
    kind: Kind::Bool,
    default: "false",
    doc: "Whether webhook URLs may be `http://`. For development: the payload then travels in the clear.",
};

pub(crate) const WEBHOOK_ALLOW_CIDRS: Setting = Setting {
    env: "WEBHOOK_ALLOW_CIDRS",
    key: "webhooks.allow_cidrs",
    kind: Kind::List,
    default: "",
    doc: "Address ranges that webhooks may reach although they are not publicly routable, e.g. \
          `10.1.0.0/16,127.0.0.0/8`. Every tenant can then make this server call them: name only what is meant to be \
          called. The list is logged at start.",
};

pub(crate) const WEBHOOK_PROXY: Setting = Setting {
    env: "WEBHOOK_PROXY",
    key: "webhooks.proxy",
    kind: Kind::Secret,
    default: "",
    doc: "An HTTP proxy through which all webhooks are sent, by CONNECT, e.g. `http://proxy.internal:3128` or, \
          percent-encoded, `http://user:password@proxy.internal:3128`. This server still resolves and judges names, \
          and asks the proxy for the address that was judged. No other variable, such as `HTTPS_PROXY`, has any effect.",
};

pub(crate) const WEBHOOK_CA_FILE: Setting = Setting {
    env: "WEBHOOK_CA_FILE",
    key: "webhooks.ca_file",
    kind: Kind::Text,
    default: "",
    doc: "A PEM file with the certificates of authorities that receivers may have theirs from, beside those of the web. \
          Read at start.",
};

pub(crate) const WEBHOOK_DNS_SERVERS: Setting = Setting {
    env: "WEBHOOK_DNS_SERVERS",
    key: "webhooks.dns_servers",
    kind: Kind::List,
    default: "",
    doc: "The name servers that receivers and the proxy are looked up by, e.g. `10.0.0.2,10.0.0.3:5353`: addresses, with \
          a port if it is not 53. Without it those of `/etc/resolv.conf` are asked, with its search list, and a change of \
          that file is noticed within seconds. `/etc/hosts` comes first in any case. One that is down costs new \
          connections up to 10 s and no receiver its good name.",
};

pub(crate) const WEBHOOK_CONCURRENCY: Setting = Setting {
    env: "WEBHOOK_CONCURRENCY",
    key: "webhooks.concurrency",
    kind: Kind::Number { min: 2, max: 10_000 },
    default: "512",
    doc: "How many webhook deliveries this node has in flight at once; a share is kept for first attempts. Too \
          small delays deliveries behind slow receivers; each costs a socket.",
};

pub(crate) const HOOKSWITCH_LOG: Setting = Setting {
    env: "HOOKSWITCH_LOG",
    key: "log.filter",
    kind: Kind::Text,
    default: "info",
    doc: "What is logged to standard error: `error`, `warn`, `info`, `debug`, `trace`, or per area, e.g. \
          `info,hookswitch_webhooks=debug`; `off` is nothing at all. `RUST_LOG` is read when this is not set.",
};

pub(crate) const HOOKSWITCH_LOG_FORMAT: Setting = Setting {
    env: "HOOKSWITCH_LOG_FORMAT",
    key: "log.format",
    kind: Kind::Text,
    default: "text",
    doc: "`text` for people, `json` (one object per line) for collectors.",
};

/// All of them, in the order of the page; a section's settings stand together.
pub(crate) const ALL: &[&Setting] = &[
    &SERVER_HOST,
    &SERVER_PORT,
    &SHUTDOWN_TIMEOUT,
    &DRAIN_WINDOW,
    &SERVER_ADMIN_TENANT,
    &CONSOLE,
    &SERVER_IDLE_TIMEOUT,
    &SERVER_HEADER_BYTES,
    &SERVER_MAX_CONNECTIONS,
    &SERVER_TENANT_RATE_LIMIT,
    &DATABASE_URL,
    &DB_HOST,
    &DB_PORT,
    &DB_USER,
    &DB_PASSWORD,
    &DB_NAME,
    &REDIS_URL,
    &REDIS_HOST,
    &REDIS_PORT,
    &REDIS_PASSWORD,
    &REDIS_DB,
    &REDIS_PREFIX,
    &REDIS_CA_FILE,
    &REDIS_SHARDED_PUBSUB,
    &REDIS_NODE_LEASE,
    &DRAIN_PRESENCE_HOLD,
    &JWT_SECRET,
    &JWT_PUBLIC_KEY_FILE,
    &JWT_ALGORITHMS,
    &WS_PING_INTERVAL,
    &WS_PONG_TIMEOUT,
    &WS_THREADS,
    &WS_SESSIONS_PER_TENANT,
    &WS_READ_BUFFER_SIZE,
    &WS_WRITE_BUFFER_SIZE,
    &WS_CONNECTIONS_PER_TENANT,
    &WS_CONNECTIONS_PER_USER,
    &WS_CONNECTIONS_PER_SESSION,
    &WS_COMPRESSION,
    &WS_COMPRESSION_FROM,
    &WS_BALANCE_RATE,
    &WS_ALLOWED_ORIGINS,
    &WS_PUBLIC_ALLOWED_ORIGINS,
    &HISTORY_EVENTS,
    &HISTORY_BYTES,
    &HISTORY_AGE,
    &HISTORY_TOTAL_BYTES,
    &HISTORY_URGENT,
    &HISTORY_LATEST,
    &WEBHOOK_ALLOW_HTTP,
    &WEBHOOK_ALLOW_CIDRS,
    &WEBHOOK_PROXY,
    &WEBHOOK_CA_FILE,
    &WEBHOOK_DNS_SERVERS,
    &WEBHOOK_CONCURRENCY,
    &WEBHOOK_PER_WEBHOOK,
    &WEBHOOK_MAX_PER_TENANT,
    &WEBHOOK_TENANT_RATE_LIMIT,
    &WEBHOOK_EXPIRY,
    &WEBHOOK_DISABLE_AFTER,
    &WEBHOOK_RETENTION,
    &WEBHOOK_SECRET_KEY,
    &ASTERISK_ADDRESS,
    &ASTERISK_USER,
    &ASTERISK_SECRET,
    &ASTERISK_SECRET_FILE,
    &ASTERISK_TENANT,
    &ASTERISK_AGENTS,
    &ASTERISK_AGENTS_FILE,
    &ASTERISK_OUTSIDE,
    &ASTERISK_TLS,
    &ASTERISK_ALERT,
    &ASTERISK_NAME,
    &HOOKSWITCH_LOG,
    &HOOKSWITCH_LOG_FORMAT,
];

/// Names the configuration file; not a setting of the file itself.
pub(crate) const HOOKSWITCH_CONFIG: &str = "HOOKSWITCH_CONFIG";

/// Variables that begin like this are ours; one we do not know is probably a misspelling.
pub(crate) const PREFIXES: &[&str] = &[
    "DB_",
    "JWT_",
    "SERVER_",
    "REDIS_",
    "WS_",
    "HISTORY_",
    "WEBHOOK_",
    "HOOKSWITCH_",
    "DATABASE_",
    "DRAIN_",
    "ASTERISK_",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_variable_has_one_of_our_prefixes() {
        for (at, setting) in ALL.iter().enumerate() {
            // This one is a word that others may begin theirs with.
            let is_whole = setting.env == CONSOLE.env;
            assert!(is_whole || PREFIXES.iter().any(|prefix| setting.env.starts_with(prefix)), "{}", setting.env);
            assert!(setting.key.split('.').count() == 2, "{}", setting.key);
            let twins = ALL[at + 1..].iter().filter(|other| other.env == setting.env || other.key == setting.key);
            assert_eq!(twins.count(), 0, "{}", setting.env);
        }
    }
}
