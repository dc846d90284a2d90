//! Connections to the file, and their settings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::{ConnectionError, ConnectionResult};

use super::dialect::Conn;
use super::file::FileId;
use super::lock::FileLock;
use crate::error::Failure;

/// What each connection says when it opens.
const WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                      PRAGMA journal_size_limit = 67108864;";
/// A small cache of its own, in KiB: the system has the file in its own, and there are a dozen readers.
const READER: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -512;";

/// Where connections come from. Clones share what is known of the file.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    path: String,
    busy_timeout: Duration,
    pragmas: &'static str,
    /// Whether queries over many rows rest in between.
    rests: bool,
    /// The file that the writer opened last, and how often it did so.
    written: Arc<Written>,
    /// Let go only when nothing can be written any more.
    lock: Option<Arc<FileLock>>,
}

#[derive(Debug, Default)]
struct Written {
    file: Mutex<Option<FileId>>,
    n_opened: AtomicU64,
}

/// Which database a connection leads to: the file, and how often the writer had opened one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    file: Option<FileId>,
    n_opened: u64,
}

impl Connector {
    pub(crate) fn writing(path: &str, busy_timeout: Duration, lock: Arc<FileLock>) -> Self {
        let (path, written) = (path.to_owned(), Arc::default());
        Self { path, busy_timeout, pragmas: WRITER, rests: false, written, lock: Some(lock) }
    }

    /// One for readers of what this one's writer writes, whose queries over many rows rest in between or not.
    pub(crate) fn reading(&self, rests: bool) -> Self {
        Self { pragmas: READER, rests, lock: None, ..self.clone() }
    }

    pub(super) fn rests(&self) -> bool {
        self.rests
    }

    /// One for tests whose connections are there already.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        let path = String::new();
        let written = Arc::default();
        Self { path, busy_timeout: Duration::ZERO, pragmas: READER, rests: false, written, lock: None }
    }

    /// Opens a connection, on a thread that may block.
    pub(crate) async fn open(&self) -> Result<Conn, Failure> {
        let connector = self.clone();
        let opened = tokio::task::spawn_blocking(move || connector.open_blocking()).await;
        Ok(opened.map_err(Failure::from)??)
    }

    pub(crate) fn open_blocking(&self) -> ConnectionResult<Conn> {
        // Looked at before: SQLite would make an empty database in the place of one that is gone.
        let Some(file) = FileId::of(&self.path) else {
            return Err(ConnectionError::BadConnection(format!("the database {} is gone", self.path)));
        };
        let mut conn = Conn::establish(&self.path)?;
        let busy = format!("PRAGMA busy_timeout = {};", self.busy_timeout.as_millis());
        conn.batch_execute(&busy)
            .and_then(|()| conn.batch_execute(self.pragmas))
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        if self.is_writing() {
            *self.written.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
            self.written.n_opened.fetch_add(1, Ordering::AcqRel);
        }
        Ok(conn)
    }

    /// Whether an open connection still works after so long. A file does not go away like a server does, but the
    /// writer of one that was replaced would write what nobody ever reads.
    #[expect(clippy::unused_async, reason = "a server has to be asked")]
    pub(crate) async fn is_alive(&self, _conn: &mut Conn, _idle: Duration) -> bool {
        !self.is_writing()
            || *self.written.file.lock().unwrap_or_else(PoisonError::into_inner) == FileId::of(&self.path)
    }

    /// After which time a connection that works is replaced all the same: a file that was replaced is noticed.
    #[expect(clippy::unused_self, reason = "a server's name may lead elsewhere by then")]
    pub(crate) const fn renewal(&self) -> Option<Duration> {
        None
    }

    /// Where a connection that is opened now leads to.
    pub(crate) fn origin(&self) -> Origin {
        Origin { file: FileId::of(&self.path), n_opened: self.written.n_opened.load(Ordering::Acquire) }
    }

    /// Whether that is the database still. Whenever the writer had to open another connection, it may not be.
    pub(crate) fn is_current(&self, origin: Origin) -> bool {
        origin == self.origin()
    }

    /// Whether it may be used all the same while no other can be opened: not if it is another file.
    pub(crate) fn is_usable(&self, origin: Origin) -> bool {
        origin.file == FileId::of(&self.path)
    }

    /// A piece of work begins; SQLite's own time limit for locks is set with the connection.
    #[expect(clippy::unused_self, reason = "a server gets a deadline here")]
    pub(crate) fn begin(&self, _conn: &mut Conn) {}

    fn is_writing(&self) -> bool {
        self.lock.is_some()
    }
}

impl std::fmt::Display for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)
    }
}
