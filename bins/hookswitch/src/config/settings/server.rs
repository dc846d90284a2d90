//! The settings of `[server]`: where to listen, and how much to take.

use super::{Kind, Setting, seconds};

pub(crate) const SERVER_HOST: Setting = Setting {
    env: "SERVER_HOST",
    key: "server.host",
    kind: Kind::Text,
    default: "0.0.0.0",
    doc: "The IP address to listen on; `localhost` is understood. `0.0.0.0` means every IPv4 interface, `::` every \
          interface.",
};

pub(crate) const SERVER_PORT: Setting = Setting {
    env: "SERVER_PORT",
    key: "server.port",
    kind: Kind::Number { min: 0, max: 65_535 },
    default: "8000",
    doc: "The port to listen on. 0 lets the system choose; the line `listening on …` on standard output tells which \
          one it was.",
};

pub(crate) const SHUTDOWN_TIMEOUT: Setting = Setting {
    env: "SERVER_SHUTDOWN_TIMEOUT",
    key: "server.shutdown_timeout",
    kind: seconds(1, 300),
    default: "5s",
    doc: "How long the end may take after SIGTERM, counted from the end of `DRAIN_WINDOW`: clients are told, running \
          deliveries are finished or kept for the next start. Too small, and more deliveries are sent a second time \
          after the restart. With other nodes at least 2 s. Keep the two together below the service manager's own \
          patience.",
};

pub(crate) const SERVER_ADMIN_TENANT: Setting = Setting {
    env: "SERVER_ADMIN_TENANT",
    key: "server.admin_tenant",
    kind: Kind::Text,
    default: "",
    doc: "The operator's own tenant: tokens of it with the role `admin` or `service` may ask for what concerns the whole \
          node, `POST /api/v1/admin/drain`. Without it nobody may, and everybody else's tokens never do. Choose one that \
          no customer has.",
};

pub(crate) const CONSOLE: Setting = Setting {
    env: "CONSOLE",
    key: "server.console",
    kind: Kind::Bool,
    default: "false",
    doc: "Whether the console is served, at `/` and `/console`: pages that show what happens, to whoever has a token, as much as \
          that may see. `hookswitch dev` has it on unless this is set. The pages themselves are open to anybody who reaches \
          the node.",
};

pub(crate) const DRAIN_WINDOW: Setting = Setting {
    env: "DRAIN_WINDOW",
    key: "server.drain_window",
    kind: seconds(0, 3_600),
    default: "20s",
    doc: "Over how long a node that goes away spreads the closes of its connections, so that their clients do not come to \
          the other nodes all at once. Without `REDIS_URL` or `REDIS_HOST` there are no other nodes, and the default is \
          0, all at once. The node ends as soon as the last one is out. Too short, and the others are busy with many new \
          connections at a time; too long, and a rolling restart takes for ever.",
};

pub(crate) const SERVER_IDLE_TIMEOUT: Setting = Setting {
    env: "SERVER_IDLE_TIMEOUT",
    key: "server.idle_timeout",
    kind: seconds(1, 3_600),
    default: "75s",
    doc: "How long an HTTP connection may be idle between two requests. Must be longer than the balancer or proxy in front \
          keeps its connections (60 s for most), or now and then a request meets a connection that was just closed. \
          Answers say it by `Keep-Alive: timeout=…`; connections are kept for a second longer than that. WebSockets \
          have `WS_PONG_TIMEOUT`.",
};

pub(crate) const SERVER_HEADER_BYTES: Setting = Setting {
    env: "SERVER_HEADER_BYTES",
    key: "server.header_bytes",
    kind: Kind::Number { min: 8_192, max: 1_048_576 },
    default: "32768",
    doc: "The largest head of a request, cookies included, in bytes; at most 256 lines in any case. Beyond it 431. Too \
          small, and pages with many cookies cannot connect; each connection may take so much memory.",
};

pub(crate) const SERVER_MAX_CONNECTIONS: Setting = Setting {
    env: "SERVER_MAX_CONNECTIONS",
    key: "server.max_connections",
    kind: Kind::Number { min: 1, max: 10_000_000 },
    default: "200000",
    doc: "The most connections to this node at once, WebSockets included. Beyond it new ones are told 503 and closed. The \
          limit of open files must be higher, or accepting pauses instead.",
};

pub(crate) const SERVER_TENANT_RATE_LIMIT: Setting = Setting {
    env: "SERVER_TENANT_RATE_LIMIT",
    key: "server.tenant_rate_limit",
    kind: Kind::Number { min: 0, max: 1_000_000 },
    default: "0",
    doc: "How many requests per second one tenant may make to this node; 0 is no limit. It counts by itself for \
          publishing, for what agents read (of which one agent may take a quarter), and for all else. A second's worth \
          may come at once, a batch of events counts as one, a new WebSocket does not count. Beyond it 429, \
          `rate_limited`. Too small, and services that publish event by event are refused in busy hours.",
};
