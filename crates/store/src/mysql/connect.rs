//! Connections to the server, and their settings.

use std::sync::Arc;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection as _};
use mysql_async::prelude::Queryable as _;
use mysql_async::{OptsBuilder, SslOpts};

use super::config::MySqlConfig;
use super::dialect::Conn;
use super::timed::Timed;
use crate::error::{Failure, StoreError};

/// What each connection says when it opens. Without gap locks nodes do not wait for each other's
/// inserts; times are UTC; what does not fit is an error and not cut; an operator's default engine or
/// language does not matter.
const SESSION: [&str; 5] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    // The shortest there is: whoever waits for a row that an operator has locked, all others wait with.
    "SET SESSION innodb_lock_wait_timeout = 1",
    // Deadlocks are recognised by their text: the driver does not pass their number on.
    "SET SESSION lc_messages = 'en_US'",
];

/// An idle connection is asked whether it still works after this time.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long a server may take to say that a connection still works.
const PING_WAIT: Duration = Duration::from_secs(1);

/// How often a connection that says nothing is probed by the system.
const KEEPALIVE_MILLIS: u32 = 15_000;

/// Where connections come from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Arc<MySqlConfig>);

impl Connector {
    pub(crate) fn new(config: MySqlConfig) -> Self {
        Self(Arc::new(config))
    }

    /// Logs in, within the time for that.
    pub(crate) async fn open(&self) -> Result<Conn, Failure> {
        let opened = tokio::time::timeout(self.0.connect_wait, connect(&self.0)).await;
        let late = || ConnectionError::BadConnection(format!("no answer within {:?}", self.0.connect_wait));
        Ok(opened.unwrap_or_else(|_| Err(late()))?)
    }

    /// The same when a store opens or is migrated, with an error that says what to do.
    pub(super) async fn log_in(&self) -> Result<Conn, StoreError> {
        let server = self.to_string();
        self.open().await.map_err(|failure| StoreError::NoServer { server, source: Box::new(failure) })
    }

    /// Whether an open connection still works after so long.
    pub(crate) async fn is_alive(&self, conn: &mut Conn, idle: Duration) -> bool {
        if idle < TRUSTED {
            return true;
        }
        conn.begin(PING_WAIT);
        Timed::batch_execute(conn, "DO 0").await.is_ok()
    }

    /// A piece of work begins; its time starts now.
    pub(crate) fn begin(&self, conn: &mut Conn) {
        conn.begin(self.0.answer_wait);
    }
}

impl std::fmt::Display for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

async fn connect(config: &MySqlConfig) -> ConnectionResult<Conn> {
    let mut raw = mysql_async::Conn::new(options(config)).await.map_err(|error| bad_connection(&error))?;
    let packet_bytes: Option<u64> =
        raw.query_first("SELECT @@max_allowed_packet").await.map_err(|error| bad_connection(&error))?;
    let mut conn = AsyncMysqlConnection::try_from(raw).await?;
    conn.batch_execute(&SESSION.join("; ")).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    let conn = Timed::new(conn);
    Ok(Conn::from(match packet_bytes {
        Some(n_bytes) => conn.with_packets_of(n_bytes as usize),
        None => conn,
    }))
}

fn options(config: &MySqlConfig) -> OptsBuilder {
    let socket = config.socket.as_ref().map(|path| path.to_string_lossy().into_owned());
    let tls = config.tls.as_ref().map(|tls| {
        let options = SslOpts::default();
        match &tls.ca_file {
            Some(file) => options.with_root_certs(vec![file.clone().into()]).with_disable_built_in_roots(true),
            None => options,
        }
    });
    OptsBuilder::default()
        .ip_or_hostname(config.host.clone())
        .tcp_port(config.port)
        .user(Some(config.user.clone()))
        .pass(config.password.as_ref().map(|password| password.reveal().to_owned()))
        .db_name(Some(config.database.clone()))
        // Not the driver's own idea of a socket: what was configured is what is used.
        .prefer_socket(false)
        .socket(socket)
        .ssl_opts(tls)
        .tcp_keepalive(Some(KEEPALIVE_MILLIS))
        .stmt_cache_size(0)
        .client_found_rows(true)
}

/// The driver's errors name server, user and reason, never the password.
fn bad_connection(error: &mysql_async::Error) -> ConnectionError {
    ConnectionError::BadConnection(error.to_string())
}
