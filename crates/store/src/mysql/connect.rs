//! Connections to the server, and their settings.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;
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

/// How old the connection of a writer gets: a name may lead to another server by then.
const WRITER_AGE: Duration = Duration::from_mins(5);

/// Where connections come from. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    config: Arc<MySqlConfig>,
    /// How long the server works on one statement; without, as long as it takes.
    statement_limit: Option<Duration>,
    is_writing: bool,
    /// How often a writer logged in.
    n_logins: Arc<AtomicU64>,
}

/// Which database a connection leads to, as far as can be known: how often a writer had logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    n_logins: u64,
}

impl Connector {
    /// One for looking and for changing tables.
    pub(crate) fn new(config: MySqlConfig) -> Self {
        Self { config: Arc::new(config), statement_limit: None, is_writing: false, n_logins: Arc::default() }
    }

    /// One for writers, whose statements the server does not work on for longer than they wait.
    pub(super) fn writing(&self) -> Self {
        Self { statement_limit: Some(self.config.answer_wait), is_writing: true, ..self.clone() }
    }

    /// One for readers whose statements may take so long.
    pub(super) fn reading(&self, limit: Duration) -> Self {
        Self { statement_limit: Some(limit), is_writing: false, ..self.clone() }
    }

    /// Logs in, within the time for that.
    pub(crate) async fn open(&self) -> Result<Conn, Failure> {
        let connect = unpanicked(connect(&self.config, self.statement_limit));
        let opened = tokio::time::timeout(self.config.connect_wait, connect).await;
        let late = || ConnectionError::BadConnection(format!("no answer within {:?}", self.config.connect_wait));
        let opened = opened.unwrap_or_else(|_| Err(late()))?;
        if self.is_writing {
            self.n_logins.fetch_add(1, Ordering::AcqRel);
        }
        Ok(opened)
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
        let asked = AssertUnwindSafe(Timed::batch_execute(conn, "DO 0")).catch_unwind().await;
        matches!(asked, Ok(Ok(())))
    }

    /// After which time a connection that works is replaced all the same, if another can be opened.
    pub(crate) fn renewal(&self) -> Option<Duration> {
        self.is_writing.then_some(WRITER_AGE)
    }

    /// Where a connection that is opened now leads to.
    pub(crate) fn origin(&self) -> Origin {
        Origin { n_logins: self.n_logins.load(Ordering::Acquire) }
    }

    /// Whether that is the database still. Whenever a writer had to log in anew, as after a server that only
    /// reads any more refused it, it may not be.
    pub(crate) fn is_current(&self, origin: Origin) -> bool {
        origin == self.origin()
    }

    /// Whether it may be used all the same while no other can be opened.
    #[expect(clippy::unused_self, reason = "a file may be another one")]
    pub(crate) fn is_usable(&self, _origin: Origin) -> bool {
        true
    }

    /// A piece of work begins; its time starts now.
    pub(crate) fn begin(&self, conn: &mut Conn) {
        conn.begin(self.config.answer_wait);
    }
}

impl std::fmt::Display for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.config.fmt(f)
    }
}

/// A panic of the driver, which asserts where it should refuse what a server says, is an error like others: here it
/// would end a task of ours that is essential, and with it the process.
async fn unpanicked<T>(connecting: impl Future<Output = ConnectionResult<T>>) -> ConnectionResult<T> {
    let connected = AssertUnwindSafe(connecting).catch_unwind().await;
    connected.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
        Err(ConnectionError::BadConnection(format!("the driver gave up on what the server said: {said}")))
    })
}

async fn connect(config: &MySqlConfig, statement_limit: Option<Duration>) -> ConnectionResult<Conn> {
    let mut raw = mysql_async::Conn::new(options(config)).await.map_err(|error| bad_connection(&error))?;
    let packet_bytes: Option<u64> =
        raw.query_first("SELECT @@max_allowed_packet").await.map_err(|error| bad_connection(&error))?;
    let mut conn = AsyncMysqlConnection::try_from(raw).await?;
    let limit = statement_limit.map(limit_statements);
    let session: Vec<&str> = SESSION.into_iter().chain(limit.as_deref()).collect();
    conn.batch_execute(&session.join("; ")).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    let conn = Timed::new(conn);
    Ok(Conn::from(match packet_bytes {
        Some(n_bytes) => conn.with_packets_of(n_bytes as usize),
        None => conn,
    }))
}

/// Ends a statement at the server, which would go on for hours after its caller left. The two servers have different
/// words, and each reads over the comment that is for the other: MySQL's holds for reading only.
fn limit_statements(limit: Duration) -> String {
    let (secs, millis) = (limit.as_secs_f64(), limit.as_millis().max(1));
    format!(
        "SET SESSION time_zone = '+00:00' /*M!100101 , max_statement_time = {secs:.3} */ \
         /*!50708 , max_execution_time = {millis} */"
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_driver_is_an_error_in_words() {
        let refused = unpanicked::<()>(async { panic!("cannot answer {}", "client_odd") }).await;
        let words = refused.expect_err("it panicked").to_string();
        assert!(words.contains("cannot answer client_odd"), "{words}");
        let refused = unpanicked(async { Err::<(), _>(ConnectionError::BadConnection("no".to_owned())) }).await;
        assert_eq!(
            refused.expect_err("refused").to_string(),
            ConnectionError::BadConnection("no".to_owned()).to_string()
        );
        unpanicked(async { Ok(()) }).await.expect("connects");
    }
}
