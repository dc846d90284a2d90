//! The settings of `[redis]`: the way to the other nodes.

use std::time::Duration;

use hookswitch::redis::NodeLease;

use super::{Kind, Setting};

pub(crate) const REDIS_URL: Setting = Setting {
    env: "REDIS_URL",
    key: "redis.url",
    kind: Kind::Url,
    default: "",
    doc: "The Redis through which several nodes hang together; without it and without `REDIS_HOST` this is a single \
          node. `redis://[user:password@]host:6379/0` is one server, \
          `redis-cluster://host:6379?node=other:6379` a cluster, \
          `redis-sentinel://host:26379/0?service=mymaster&node=other:26379` a master that sentinels watch (with \
          `&sentinel_password=…` where they have one of their own); `rediss://`, `rediss-cluster://` and \
          `rediss-sentinel://` are the same over TLS. Special characters of the password are percent-encoded. It wins \
          over `REDIS_HOST`, `REDIS_PORT`, `REDIS_PASSWORD` and `REDIS_DB`, wherever each was given. A server that \
          cannot be reached does not keep the node from starting: it says that it is degraded, and joins when the \
          server comes.",
};

pub(crate) const REDIS_HOST: Setting = Setting {
    env: "REDIS_HOST",
    key: "redis.host",
    kind: Kind::Text,
    default: "",
    doc: "Name or IP address of one Redis server without TLS, for deployments that have no `REDIS_URL`.",
};

pub(crate) const REDIS_PORT: Setting = Setting {
    env: "REDIS_PORT",
    key: "redis.port",
    kind: Kind::Number { min: 1, max: 65_535 },
    default: "6379",
    doc: "The port at `REDIS_HOST`.",
};

pub(crate) const REDIS_PASSWORD: Setting = Setting {
    env: "REDIS_PASSWORD",
    key: "redis.password",
    kind: Kind::Secret,
    default: "",
    doc: "The password at `REDIS_HOST`, for the user `default`; written as it is, nothing is encoded.",
};

pub(crate) const REDIS_DB: Setting = Setting {
    env: "REDIS_DB",
    key: "redis.database",
    kind: Kind::Number { min: 0, max: 255 },
    default: "0",
    doc: "The database number at `REDIS_HOST`. It separates keys only, not events: two installations on one Redis need \
          two prefixes.",
};

pub(crate) const REDIS_PREFIX: Setting = Setting {
    env: "REDIS_PREFIX",
    key: "redis.prefix",
    kind: Kind::Text,
    default: "callcenter",
    doc: "What every key and channel begins with. The same on every node of an installation, and another one for every \
          other installation on this Redis, or they see each other's events. At most 64 characters, without white \
          space, braces and the characters that mean something in patterns: `*`, `?`, `[`, `]`, `\\`.",
};

pub(crate) const REDIS_CA_FILE: Setting = Setting {
    env: "REDIS_CA_FILE",
    key: "redis.ca_file",
    kind: Kind::Text,
    default: "",
    doc: "A PEM file with the certificates of the authorities that are trusted to vouch for Redis over TLS; without it \
          the system's are.",
};

pub(crate) const REDIS_SHARDED_PUBSUB: Setting = Setting {
    env: "REDIS_SHARDED_PUBSUB",
    key: "redis.sharded_pubsub",
    kind: Kind::Bool,
    default: "false",
    doc: "Whether nodes exchange their events by sharded pub/sub, which spares a large cluster's bus. `PSUBSCRIBE` then \
          does not show them; foreign programs use ordinary `PUBLISH` all the same. The same on every node.",
};

pub(crate) const REDIS_NODE_LEASE: Setting = Setting {
    env: "REDIS_NODE_LEASE",
    key: "redis.node_lease",
    kind: Kind::Duration { min: NodeLease::MIN, max: NodeLease::MAX },
    default: "15s",
    doc: "How long a node that is not heard of counts as alive: when a node dies, its users stay online for so long, and \
          up to 0.4 times as long again until another node has noticed. Claims of messages for absent users last as \
          long. Too short, and a node that is only held up for a moment counts as dead: its users go offline and come \
          back. Too long, and events for users of a dead node are lost for as long. The same on every node.",
};

pub(crate) const DRAIN_PRESENCE_HOLD: Setting = Setting {
    env: "DRAIN_PRESENCE_HOLD",
    key: "redis.drain_presence_hold",
    kind: Kind::Duration { min: Duration::from_secs(1), max: Duration::from_mins(4) },
    default: "30s",
    doc: "How long users stay online after this node sent their connections elsewhere; who is back on any node by then was \
          never offline. Too short, and a rolling restart shows users going and coming; too long, and users who closed \
          their page meanwhile are shown as online for as long.",
};
