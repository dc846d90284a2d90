//! The settings of `[websocket]` that keep one tenant, user or chat session from taking all connections, and what
//! clients and the server may agree on.

use super::{Kind, Setting};

pub(crate) const WS_CONNECTIONS_PER_TENANT: Setting = Setting {
    env: "WS_CONNECTIONS_PER_TENANT",
    key: "websocket.connections_per_tenant",
    kind: Kind::Number { min: 0, max: 10_000_000 },
    default: "0",
    doc: "The most WebSockets of one tenant to this node at once, visitors included; 0 is half of \
          `SERVER_MAX_CONNECTIONS`. Beyond it new ones are refused with 503, `too_many_connections`. Too large, and one \
          tenant may leave no room for the others.",
};

pub(crate) const WS_CONNECTIONS_PER_USER: Setting = Setting {
    env: "WS_CONNECTIONS_PER_USER",
    key: "websocket.connections_per_user",
    kind: Kind::Number { min: 1, max: 10_000_000 },
    default: "50",
    doc: "The same for one user: every tab and device is a connection. Too large, and a page that reconnects without \
          closing fills the node.",
};

pub(crate) const WS_CONNECTIONS_PER_SESSION: Setting = Setting {
    env: "WS_CONNECTIONS_PER_SESSION",
    key: "websocket.connections_per_session",
    kind: Kind::Number { min: 1, max: 10_000_000 },
    default: "20",
    doc: "The same for the visitors of one chat session, which anybody who knows its key can open.",
};

pub(crate) const WS_COMPRESSION: Setting = Setting {
    env: "WS_COMPRESSION",
    key: "websocket.compression",
    kind: Kind::Bool,
    default: "true",
    doc: "Whether messages are compressed to WebSocket clients that offer it (permessage-deflate), as browsers do. An \
          event is compressed once for all of them: 10 µs of processor time for 1 KiB, 20 for 4 KiB, 90 for 16 KiB, \
          and a half, a third, a quarter of the bytes. Off, offers are declined.",
};

pub(crate) const WS_COMPRESSION_FROM: Setting = Setting {
    env: "WS_COMPRESSION_FROM",
    key: "websocket.compression_from",
    kind: Kind::Number { min: 64, max: 262_144 },
    default: "1024",
    doc: "Messages are compressed from so many bytes on, up to 256 KiB. Too small costs processor time, here and at the \
          clients, for bytes that fit into one packet anyway.",
};

pub(crate) const WS_BALANCE_RATE: Setting = Setting {
    env: "WS_BALANCE_RATE",
    key: "websocket.balance_rate",
    kind: Kind::Number { min: 0, max: 10_000 },
    default: "10",
    doc: "How many WebSockets per second a node of several sends to the others at most while it has far more than its share, \
          a quarter and twenty more, as after a restart of another node: each is told when to come back, and closed with \
          1012. 0 switches it off, for instance where nodes are unequal on purpose. A node whose balancer sends them back \
          stops for five minutes.",
};
