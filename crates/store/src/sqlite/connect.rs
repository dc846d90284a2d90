//! Connections to the file, and their settings.

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::{ConnectionError, ConnectionResult};

use super::dialect::Conn;
use super::lock::FileLock;
use crate::error::Failure;

/// What each connection says when it opens.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                      PRAGMA journal_size_limit = 67108864;";
const READER: &str = "PRAGMA query_only = ON;";

/// Where connections come from.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    path: String,
    busy_timeout: Duration,
    pragmas: &'static str,
    /// Let go only when nothing can be written any more.
    _lock: Option<Arc<FileLock>>,
}

impl Connector {
    pub(crate) fn writing(path: &str, busy_timeout: Duration, lock: Arc<FileLock>) -> Self {
        Self { path: path.to_owned(), busy_timeout, pragmas: WRITER, _lock: Some(lock) }
    }

    pub(crate) fn reading(path: &str, busy_timeout: Duration) -> Self {
        Self { path: path.to_owned(), busy_timeout, pragmas: READER, _lock: None }
    }

    /// Opens a connection, on a thread that may block.
    pub(crate) async fn open(&self) -> Result<Conn, Failure> {
        let connector = self.clone();
        let opened = tokio::task::spawn_blocking(move || connector.open_blocking()).await;
        Ok(opened.map_err(Failure::from)??)
    }

    pub(crate) fn open_blocking(&self) -> ConnectionResult<Conn> {
        let mut conn = Conn::establish(&self.path)?;
        let busy = format!("PRAGMA busy_timeout = {};", self.busy_timeout.as_millis());
        conn.batch_execute(&busy)
            .and_then(|()| conn.batch_execute(self.pragmas))
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(conn)
    }

    /// Whether an open connection still works after so long: a file does not go away like a server does.
    #[expect(clippy::unused_async, reason = "a server has to be asked")]
    pub(crate) async fn is_alive(&self, _conn: &mut Conn, _idle: Duration) -> bool {
        true
    }

    /// A piece of work begins; SQLite's own time limit for locks is set with the connection.
    #[expect(clippy::unused_self, reason = "a server gets a deadline here")]
    pub(crate) fn begin(&self, _conn: &mut Conn) {}
}

impl std::fmt::Display for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}
