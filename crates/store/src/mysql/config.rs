//! What a store needs to know before it reaches its server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hookswitch_protocol::Secret;

use crate::ended_nodes::EndedNodes;
use crate::secret_keys::SecretKeys;

/// How to reach and use a MySQL or MariaDB server. Prints without the password.
#[derive(Debug, Clone)]
pub struct MySqlConfig {
    /// A name or an address.
    pub host: String,
    /// 3306 by default.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// `None` logs in without one.
    pub password: Option<Secret>,
    /// The database, which must exist.
    pub database: String,
    /// A Unix socket of a server on this machine, instead of host and port.
    pub socket: Option<PathBuf>,
    /// Encrypts the connection and checks the server's certificate; `None` by default.
    pub tls: Option<Tls>,
    /// Brings the tables up to date while opening. Off by default: an old schema is then an error.
    pub migrates: bool,
    /// Reports that run at once (lists and figures), at least 1; 4 by default, half of them of one tenant. Each
    /// is a connection. Up to seven more read everything else, and two write: one for those who wait
    /// outside, one for dispatching.
    pub n_readers: usize,
    /// Calls that may wait for each writer, half of them for one tenant; 2,048 by default. When they are that many,
    /// the next caller waits.
    pub queue: usize,
    /// How long a report may take before it is ended; 5 s by default.
    pub report_limit: Duration,
    /// How long a caller waits for room in the queue, or for a reading connection, before it is told
    /// `Unavailable`; 5 s by default.
    pub wait: Duration,
    /// How long logging in to the server may take; 3 s by default.
    pub connect_wait: Duration,
    /// How long one piece of work on the server may take, a transaction of many callers included,
    /// before its connection is given up; 5 s by default. Too short, and a busy server is taken for a
    /// dead one.
    pub answer_wait: Duration,
    /// In whose name kept messages are claimed: no other process may have it, at most 64 characters of a node's
    /// id. One is made up by default.
    pub node_name: Option<String>,
    /// Which other nodes have certainly ended: what they held is free as soon as the store opens.
    pub ended_nodes: EndedNodes,
    /// Seal signing secrets and custom header values; without any they stand in clear.
    pub secret_keys: SecretKeys,
}

/// How the server's certificate is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file with the authority to trust, instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

impl MySqlConfig {
    /// The defaults, for a server on the usual port.
    pub fn new(host: impl Into<String>, user: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: 3306,
            user: user.into(),
            password: None,
            database: database.into(),
            socket: None,
            tls: None,
            migrates: false,
            n_readers: 4,
            report_limit: Duration::from_secs(5),
            queue: 2_048,
            wait: Duration::from_secs(5),
            connect_wait: Duration::from_secs(3),
            answer_wait: Duration::from_secs(5),
            node_name: None,
            ended_nodes: EndedNodes::default(),
            secret_keys: SecretKeys::default(),
        }
    }
}

/// Where the server is, for people: `user@host:port/database`.
impl fmt::Display for MySqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "{}@{}/{}", self.user, socket.display(), self.database),
            None => write!(f, "{}@{}:{}/{}", self.user, self.host, self.port, self.database),
        }
    }
}
