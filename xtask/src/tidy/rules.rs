//! The rule tables of `cargo xtask tidy`, as data: who may enter which room, and where each package lives.
//!
//! ```text
//! protocol ← state ← hub
//! protocol ← runtime ← { hub, webhooks } ← switch ← gateway ← hookswitch ← bins
//!                      { hub, webhooks } ← store ←────────────┤
//!   runtime ← egress ← webhooks    hub ← redis ←──────────────┘
//! ```

/// What kind of crate a room is; it decides which other rules bind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Shipped library code: arrows and homes bind it.
    Library,
    /// Assembly: arrows bind it, homes do not.
    Binary,
    /// Test support, never shipped.
    Testkit,
    /// Chores, never shipped.
    Chore,
}

/// One crate of ours and the crates of ours it may use in `[dependencies]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) may_use: &'static [&'static str],
}

const PROTOCOL: &str = "hookswitch-protocol";
const RUNTIME: &str = "hookswitch-runtime";
const ASTERISK: &str = "hookswitch-asterisk";
const EGRESS: &str = "hookswitch-egress";
const HUB: &str = "hookswitch-hub";
const WEBHOOKS: &str = "hookswitch-webhooks";
const CONSOLE: &str = "hookswitch-console";
const RECEIVER: &str = "hookswitch-receiver";
const STATE: &str = "hookswitch-state";
const STORE: &str = "hookswitch-store";
const REDIS: &str = "hookswitch-redis";
const SWITCH: &str = "hookswitch-switch";
const GATEWAY: &str = "hookswitch-gateway";
const FACE: &str = "hookswitch";

/// The name of test support, which only tests and chores may use.
pub(crate) const TESTKIT: &str = "hookswitch-testkit";

/// Every room and its arrows. A crate that is not listed here is a problem by itself.
pub(crate) const ROOMS: &[Room] = &[
    Room { name: PROTOCOL, kind: Kind::Library, may_use: &[] },
    Room { name: RUNTIME, kind: Kind::Library, may_use: &[PROTOCOL] },
    Room { name: STATE, kind: Kind::Library, may_use: &[PROTOCOL] },
    Room { name: ASTERISK, kind: Kind::Library, may_use: &[] },
    Room { name: RECEIVER, kind: Kind::Library, may_use: &[] },
    Room { name: CONSOLE, kind: Kind::Library, may_use: &[] },
    Room { name: HUB, kind: Kind::Library, may_use: &[PROTOCOL, RUNTIME, STATE] },
    Room { name: EGRESS, kind: Kind::Library, may_use: &[RUNTIME] },
    Room { name: WEBHOOKS, kind: Kind::Library, may_use: &[PROTOCOL, RUNTIME, EGRESS] },
    Room { name: REDIS, kind: Kind::Library, may_use: &[PROTOCOL, RUNTIME, HUB] },
    Room { name: STORE, kind: Kind::Library, may_use: &[PROTOCOL, RUNTIME, HUB, WEBHOOKS] },
    Room { name: SWITCH, kind: Kind::Library, may_use: &[PROTOCOL, RUNTIME, HUB, WEBHOOKS] },
    Room { name: GATEWAY, kind: Kind::Library, may_use: &[PROTOCOL, RUNTIME, HUB, WEBHOOKS, SWITCH, CONSOLE] },
    Room {
        name: FACE,
        kind: Kind::Library,
        may_use: &[PROTOCOL, RUNTIME, HUB, WEBHOOKS, STORE, REDIS, SWITCH, GATEWAY],
    },
    Room { name: TESTKIT, kind: Kind::Testkit, may_use: &[PROTOCOL, RUNTIME, RECEIVER, HUB, WEBHOOKS] },
    Room {
        name: "hookswitch-server",
        kind: Kind::Binary,
        may_use: &[PROTOCOL, RUNTIME, ASTERISK, RECEIVER, HUB, WEBHOOKS, STORE, REDIS, SWITCH, GATEWAY, FACE],
    },
    Room { name: "hookswitch-bench", kind: Kind::Chore, may_use: &[PROTOCOL, RECEIVER, TESTKIT] },
    Room { name: "hookswitch-fuzz", kind: Kind::Chore, may_use: &[PROTOCOL, ASTERISK, EGRESS, REDIS, GATEWAY] },
    Room { name: "hookswitch-xtask", kind: Kind::Chore, may_use: &[PROTOCOL, STORE, TESTKIT] },
];

/// An external package and the only library crates that may name it in `[dependencies]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    pub(crate) package: &'static str,
    pub(crate) rooms: &'static [&'static str],
}

/// The one home of each package that must not spread. No rooms means: binaries, testkit and chores only.
pub(crate) const HOMES: &[Home] = &[
    Home { package: "hmac", rooms: &[WEBHOOKS] },
    Home { package: "sha2", rooms: &[WEBHOOKS] },
    Home { package: "tokio-rustls", rooms: &[EGRESS, ASTERISK] },
    Home { package: "webpki-roots", rooms: &[EGRESS, ASTERISK] },
    Home { package: "ipnet", rooms: &[EGRESS] },
    Home { package: "hickory-resolver", rooms: &[EGRESS] },
    Home { package: "diesel", rooms: &[STORE] },
    Home { package: "diesel-async", rooms: &[STORE] },
    Home { package: "diesel_migrations", rooms: &[STORE] },
    Home { package: "libsqlite3-sys", rooms: &[STORE] },
    Home { package: "tokio-tungstenite", rooms: &[GATEWAY] },
    Home { package: "flate2", rooms: &[GATEWAY] },
    Home { package: "jsonwebtoken", rooms: &[GATEWAY] },
    Home { package: "matchit", rooms: &[GATEWAY] },
    Home { package: "schemars", rooms: &[PROTOCOL] },
    Home { package: "prometheus-client", rooms: &[RUNTIME, GATEWAY] },
    Home { package: "hyper", rooms: &[EGRESS, GATEWAY] },
    Home { package: "fred", rooms: &[REDIS] },
    Home { package: "mysql_async", rooms: &[STORE] },
    Home { package: "percent-encoding", rooms: &[EGRESS, REDIS, STORE] },
    Home { package: "anyhow", rooms: &[] },
];

/// Above this, ask what the file's second responsibility is called.
/// (Of functions clippy asks it, above `too-many-lines-threshold` in `.clippy.toml`.)
pub(crate) const MAX_FILE_LINES: usize = 399;

/// Source folders in which no files use each other in a circle.
pub(crate) const WITHOUT_CIRCLES: &[&str] = &[
    "crates/hub/src/",
    "crates/state/src/",
    "crates/asterisk/src/",
    "crates/switch/src/",
    "crates/webhooks/src/",
    "crates/egress/src/",
    "crates/redis/src/",
    "crates/store/src/",
    "crates/gateway/src/",
    "crates/hookswitch/src/",
];

/// Source folder, type, and the one file that holds the type's inherent methods.
pub(crate) const METHOD_HOMES: &[(&str, &str, &str)] = &[("crates/hub/src/", "Hub", "crates/hub/src/hub.rs")];

/// Beginnings of paths that exist on one machine only. Split, so that this table does not report itself.
pub(crate) const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("C:\\Us", "ers"),
];

/// Package registries; which one is used is the machine's configuration, not ours.
pub(crate) const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("proxy.golang", ".org"),
];

/// How cargo itself writes the default registry into a lock file, on every machine.
pub(crate) const LOCK_FILE_SOURCE: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");
