//! How the clients of a node are set up: those for commands, and the one that listens.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::config::{
    ClusterDiscoveryPolicy, Config, ConnectionConfig, PerformanceConfig, ReconnectPolicy, Server, ServerConfig,
    TcpConfig, TlsConfig, TlsConnector, UnresponsiveConfig,
};
use fred::types::{Builder, CustomCommand, Value};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::running_client::RunningClient;
use crate::config::{HostPort, RedisConfig, Tls, Topology};

/// Messages that may wait until the receiving task takes them over, which it does every few. Past it the client forgets
/// the oldest and says so.
pub(crate) const WAITING_MESSAGES: usize = 16 * 1024;

/// Commands that may wait for the connection; past it they are refused.
const WAITING_COMMANDS: usize = 20_000;

/// Pause between two tries to connect, in milliseconds: constant, because a node that is by itself
/// wants back soon; the jitter keeps a hundred nodes from coming at once.
const RECONNECT_PAUSE_MS: u32 = 250;
const RECONNECT_JITTER_MS: u32 = 100;

/// Why the settings cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum RedisSetupError {
    /// The authorities' file cannot be read.
    #[error("cannot read the authorities in {path}")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client does not take the settings.
    #[error("cannot set up the Redis client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Tls {
    /// Whether connections can be made with these authorities; nothing is sent.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn check(&self) -> Result<(), RedisSetupError> {
        tls(self).map(drop)
    }
}

/// A client that does not connect yet, for one server of a cluster; without one, for the only server.
pub(crate) fn client_of(config: &RedisConfig, at: Option<&Server>) -> Result<Client, RedisSetupError> {
    let only = |at: &Server| ServerConfig::Centralized { server: at.clone() };
    build(config, at.map_or_else(|| server(&config.topology), only))
}

/// A client that does not connect yet, for one connection: when that is lost, or cannot be made, the client ends and
/// makes no other.
pub(crate) fn passing_client(config: &RedisConfig, at: Option<&Server>) -> Result<Client, RedisSetupError> {
    let only = |at: &Server| ServerConfig::Centralized { server: at.clone() };
    let mut builder = builder(config, at.map_or_else(|| server(&config.topology), only))?;
    builder.with_config(|config| config.fail_fast = true);
    builder.build().map_err(|error| RedisSetupError::Client(Box::new(error)))
}

/// Whether a connection that is made now leads to a server that takes writes.
pub(crate) async fn leads_to_master(config: &RedisConfig) -> bool {
    let Ok(client) = client_of(config, None) else { return false };
    // Its task ends with it.
    let fresh = RunningClient::start(client, None);
    let asked = async {
        fresh.client().wait_for_connect().await?;
        let command = CustomCommand::new_static("ROLE", None, false);
        fresh.client().custom::<Vec<Value>, Value>(command, Vec::new()).await
    };
    let said = tokio::time::timeout(config.command_timeout, asked).await;
    matches!(said, Ok(Ok(role)) if role.first().and_then(Value::as_str).as_deref() == Some("master"))
}

/// The servers that the settings name.
pub(crate) fn configured_servers(topology: &Topology) -> Vec<Server> {
    match topology {
        Topology::Single(server) => vec![one(server)],
        Topology::Cluster(hosts) | Topology::Sentinel { hosts, .. } => hosts.iter().map(one).collect(),
    }
}

fn build(config: &RedisConfig, server: ServerConfig) -> Result<Client, RedisSetupError> {
    let mut builder = builder(config, server)?;
    builder.set_policy(ReconnectPolicy::Constant {
        attempts: 0,
        max_attempts: 0,
        delay: RECONNECT_PAUSE_MS,
        jitter: RECONNECT_JITTER_MS,
    });
    builder.build().map_err(|error| RedisSetupError::Client(Box::new(error)))
}

/// All but what is done about a lost connection.
fn builder(config: &RedisConfig, server: ServerConfig) -> Result<Builder, RedisSetupError> {
    let client_config = Config {
        // A server that is not there yet is no mistake: the node starts by itself and joins later.
        fail_fast: false,
        username: config.username.clone(),
        password: config.password.as_ref().map(|password| password.reveal().to_owned()),
        server,
        database: (config.database != 0).then_some(config.database),
        tls: config.tls.as_ref().map(tls).transpose()?,
        ..Config::default()
    };
    let mut builder = Builder::from_config(client_config);
    builder.set_performance_config(PerformanceConfig {
        default_command_timeout: config.command_timeout,
        broadcast_channel_capacity: WAITING_MESSAGES,
        ..PerformanceConfig::default()
    });
    builder.set_connection_config(connection(config.command_timeout));
    Ok(builder)
}

fn connection(timeout: Duration) -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: timeout * 2,
        internal_command_timeout: timeout * 2,
        max_command_attempts: 1,
        max_command_buffer_len: WAITING_COMMANDS,
        reconnect_on_auth_error: true,
        // It does not notice a server that hangs while one writes to it; the supervisor does.
        unresponsive: UnresponsiveConfig { max_timeout: None, ..UnresponsiveConfig::default() },
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        ..ConnectionConfig::default()
    }
}

fn server(topology: &Topology) -> ServerConfig {
    let list = |hosts: &[HostPort]| hosts.iter().map(one).collect();
    match topology {
        Topology::Single(server) => ServerConfig::Centralized { server: one(server) },
        Topology::Cluster(hosts) => {
            ServerConfig::Clustered { hosts: list(hosts), policy: ClusterDiscoveryPolicy::default() }
        }
        Topology::Sentinel { hosts, service, password } => ServerConfig::Sentinel {
            hosts: list(hosts),
            service_name: service.clone(),
            username: None,
            password: password.as_ref().map(|password| password.reveal().to_owned()),
        },
    }
}

pub(super) fn one(server: &HostPort) -> Server {
    Server::new(server.host.as_str(), server.port)
}

fn tls(tls: &Tls) -> Result<TlsConfig, RedisSetupError> {
    let Some(path) = &tls.ca_file else {
        let connector = TlsConnector::default_rustls();
        return connector.map(TlsConfig::from).map_err(|error| RedisSetupError::Client(Box::new(error)));
    };
    let roots = authorities(path)
        .map_err(|source| RedisSetupError::Authorities { path: path.display().to_string(), source })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| RedisSetupError::Client(Box::new(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConfig::from(TlsConnector::from(config)))
}

fn authorities(path: &std::path::Path) -> Result<rustls::RootCertStore, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate".into());
    }
    Ok(roots)
}
