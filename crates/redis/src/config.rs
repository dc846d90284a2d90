//! Where Redis is and how it is spoken to.

pub(crate) mod url;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hookswitch_protocol::{Secret, limits};

use crate::history::StreamLimits;
use crate::node_lease::NodeLease;

/// Settings of a node's Redis, each with its default.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// Which servers.
    pub topology: Topology,
    /// The ACL user; none means Redis' `default`.
    pub username: Option<String>,
    /// The password, for every server.
    pub password: Option<Secret>,
    /// The database number (0). Pub/sub knows no databases: nodes of two installations on one Redis
    /// need two prefixes. A cluster has only number 0.
    pub database: u8,
    /// Set for TLS.
    pub tls: Option<Tls>,
    /// What every key and channel begins with (`callcenter`).
    pub prefix: String,
    /// Whether nodes exchange their events by sharded pub/sub (no). It spares a large cluster's bus;
    /// then `PSUBSCRIBE` does not show them. Foreign programs use ordinary `PUBLISH` all the same.
    pub sharded_pubsub: bool,
    /// How long one command may take (1 s).
    pub command_timeout: Duration,
    /// How often the way through Redis is tried (500 ms). Two tries that fail mean that it is gone.
    pub probe_interval: Duration,
    /// How long a node that is not heard of counts as alive (15 s). The same on every node, from
    /// [`NodeLease::MIN`] to [`NodeLease::MAX`].
    pub node_lease: NodeLease,
    /// How long users stay online whose connections this node sent elsewhere (30 s). Below `heartbeat_expiry`.
    pub presence_hold: Duration,
    /// How often each user's heartbeat is written (30 s).
    pub heartbeat_interval: Duration,
    /// How long a heartbeat lasts (300 s); after it the user is away.
    pub heartbeat_expiry: Duration,
    /// Events kept while Redis is away (10,000); beyond it the oldest of the tenant that fills it are dropped,
    /// counted, and the other nodes' connections told.
    pub buffer_events: usize,
    /// Their bytes (32 MiB), with the same consequence.
    pub buffer_bytes: usize,
    /// How much of each tenant's events Redis holds for nodes and clients that missed some. The same on every node.
    pub history: StreamLimits,
    /// Largest message of a foreign program that is taken in, as large as the largest body of a publishing
    /// request (1 MiB); another node's may have 64 KiB more. A larger one is counted and told, not read.
    pub message_bytes: usize,
}

/// Which servers there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Single(HostPort),
    /// Some nodes of a cluster; the others are found through them.
    Cluster(Vec<HostPort>),
    /// Some sentinels, and the name by which they know the master.
    Sentinel {
        /// The sentinels.
        hosts: Vec<HostPort>,
        /// The master's name.
        service: String,
        /// The sentinels' own password, where they have one.
        password: Option<Secret>,
    },
}

/// One server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// How to trust the servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file of authorities; without it the system's are trusted.
    pub ca_file: Option<PathBuf>,
}

impl RedisConfig {
    /// These servers, everything else by default.
    pub fn new(topology: Topology) -> Self {
        Self {
            topology,
            username: None,
            password: None,
            database: 0,
            tls: None,
            prefix: "callcenter".to_owned(),
            sharded_pubsub: false,
            command_timeout: Duration::from_secs(1),
            probe_interval: Duration::from_millis(500),
            node_lease: NodeLease::default(),
            presence_hold: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            heartbeat_expiry: Duration::from_mins(5),
            buffer_events: 10_000,
            buffer_bytes: 32 * 1024 * 1024,
            history: StreamLimits::default(),
            message_bytes: limits::PUBLISH_BODY_BYTES,
        }
    }

    /// How long each keeper may take at the node's end for what it still has to write.
    pub(crate) fn flush_timeout(&self) -> Duration {
        self.command_timeout * 3 / 2
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Topology {
    /// For logs and the readiness page: no secret is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |hosts: &[HostPort]| hosts.iter().map(HostPort::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Single(server) => write!(f, "Redis at {server}"),
            Self::Cluster(hosts) => write!(f, "Redis Cluster at {}", list(hosts)),
            Self::Sentinel { hosts, service, .. } => write!(f, "Redis {service} by the sentinels {}", list(hosts)),
        }
    }
}
