//! What can go wrong: opening the file, and using it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_hub::{ChatSessionError, HistoryError, OfflineError};
use hookswitch_webhooks::{DirectoryError, LedgerError};

/// Any error from a library below us.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store could not be opened. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A database in memory would forget what was promised to survive.
    #[error("the database must be a file: `:memory:` would forget accepted events, give a path")]
    InMemory,
    /// SQLite takes paths as UTF-8 only.
    #[error("the database path {path:?} is not UTF-8, choose another")]
    NotUtf8 {
        /// The path as given.
        path: PathBuf,
    },
    /// Directories are not made for the caller: a mistyped path would start an empty database.
    #[error("the directory {directory:?} does not exist, make it or correct the database path")]
    NoDirectory {
        /// What is missing.
        directory: PathBuf,
    },
    /// Another process has the file.
    #[error(
        "another server has the database {path:?} open; stop it, or give this one a database of its own \
         (several servers on one database need MySQL or MariaDB)"
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a later version of this program.
    #[error("the database {database} was made by a newer version (it has migration {migration}), run that version")]
    Newer {
        /// The database.
        database: String,
        /// The first migration that this program does not know.
        migration: String,
    },
    /// The tables are those of an earlier version, and nobody said that they may be changed.
    #[error(
        "the database {database} lacks {}: take these steps with `hookswitch migrate up`, or start with `--migrate`",
        pending.join(", ")
    )]
    Behind {
        /// The database.
        database: String,
        /// The steps to be taken, oldest first.
        pending: Vec<String>,
    },
    /// The server could not be reached, or did not let us in.
    #[error("cannot connect to the database server, {server}; check that it runs, and the user, password and database")]
    NoServer {
        /// Where it should be; without the password.
        server: String,
        /// What the system or the server said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tables could not be looked at or changed.
    #[error("cannot {operation} the tables of the database {database}")]
    Schema {
        /// What was tried.
        operation: &'static str,
        /// With which database.
        database: String,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Secrets are sealed with a key that was not given: nothing may be sent unsigned instead.
    #[error(
        "{n_rows} webhook(s) in the database {database} hold secrets that no key opens; set WEBHOOK_SECRET_KEY to the \
         key they were sealed with (several are separated by commas)"
    )]
    Sealed {
        /// The database.
        database: String,
        /// How many rows.
        n_rows: usize,
    },
    /// The last write failed and none has worked since, or the writer does not answer.
    #[error("the database cannot be written")]
    Unwritable {
        /// What the system or the database said, where it says more.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file could not be used.
    #[error("cannot {operation} {path:?}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system or the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a call on an open store failed. Cheap to clone: everybody in one transaction shares it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the store's queue stayed full")]
    Overloaded,
    #[error("a write failed, and none has worked since")]
    Unproven,
    #[error("the store is shut down")]
    Stopped,
    #[error("the database cannot be reached")]
    Connect(#[source] Arc<diesel::ConnectionError>),
    #[error("somebody else has the row locked")]
    RowLocked,
    #[error("no reading connection became free in time")]
    NoReader,
    #[error("it took longer than {0:?} and was ended")]
    TooLong(Duration),
    #[error("the database refused")]
    Database(#[source] Arc<diesel::result::Error>),
    #[error("the work on the database was cut short")]
    Gone(#[source] Arc<tokio::task::JoinError>),
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<diesel::ConnectionError> for Failure {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Connect(Arc::new(error))
    }
}

impl From<tokio::task::JoinError> for Failure {
    fn from(gone: tokio::task::JoinError) -> Self {
        Self::Gone(Arc::new(gone))
    }
}

/// A row that no statement can bring to the server.
#[derive(Debug, thiserror::Error)]
#[error("{n_bytes} bytes are more than the database takes in one statement (max_allowed_packet), {most_bytes}")]
pub(crate) struct TooLarge {
    pub(crate) n_bytes: usize,
    pub(crate) most_bytes: usize,
}

impl Failure {
    fn is_about_size(&self) -> bool {
        let Self::Database(error) = self else { return false };
        matches!(&**error, diesel::result::Error::SerializationError(cause) if cause.is::<TooLarge>())
    }

    pub(crate) fn ledger(self, operation: &'static str) -> LedgerError {
        if self.is_about_size() {
            return LedgerError::TooLarge { operation, source: Box::new(self) };
        }
        LedgerError::Unavailable { operation, source: Box::new(self) }
    }

    pub(crate) fn directory(self, operation: &'static str) -> DirectoryError {
        match self {
            Self::NoReader => DirectoryError::Busy { operation },
            Self::TooLong(limit) => DirectoryError::TooLong { operation, limit },
            other => DirectoryError::Unavailable { operation, source: Box::new(other) },
        }
    }

    pub(crate) fn offline(self, operation: &'static str) -> OfflineError {
        OfflineError::Unavailable { operation, source: Box::new(self) }
    }

    pub(crate) fn history(self, operation: &'static str) -> HistoryError {
        HistoryError::Unavailable { operation, source: Box::new(self) }
    }

    pub(crate) fn chat(self, operation: &'static str) -> ChatSessionError {
        ChatSessionError::Unavailable { operation, source: Box::new(self) }
    }
}
