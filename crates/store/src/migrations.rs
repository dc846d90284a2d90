//! The schema's steps, for those who run them by hand: which there are, forward, one back.
//!
//! SQLite files are migrated whenever they are opened. A MySQL or MariaDB database is shared, so its
//! steps are taken only when somebody says so.

use std::path::PathBuf;

use crate::error::StoreError;
#[cfg(feature = "mysql")]
use crate::mysql::{self, MySqlConfig};
pub use crate::schema_steps::Step;
use crate::sqlite;

/// Which database.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A database on a MySQL or MariaDB server.
    #[cfg(feature = "mysql")]
    MySql(Box<MySqlConfig>),
}

/// All steps, oldest first. Changes nothing.
///
/// # Errors
/// [`StoreError`] when the database cannot be read.
pub async fn status(database: &Database) -> Result<Vec<Step>, StoreError> {
    match database {
        Database::Sqlite(path) => sqlite::migrate::status(path).await,
        #[cfg(feature = "mysql")]
        Database::MySql(config) => mysql::migrate::status(config).await,
    }
}

/// Takes all steps that the database does not have yet; their names. Several may do so at once.
///
/// # Errors
/// [`StoreError`] when the database cannot be changed, or is newer than this program.
pub async fn up(database: &Database) -> Result<Vec<String>, StoreError> {
    match database {
        Database::Sqlite(path) => sqlite::migrate::up(path).await,
        #[cfg(feature = "mysql")]
        Database::MySql(config) => mysql::migrate::up(config).await,
    }
}

/// Takes the newest step back, with all that its tables hold; its name, or `None` when there is none.
///
/// # Errors
/// [`StoreError`] when the database cannot be changed, or is newer than this program.
pub async fn down(database: &Database) -> Result<Option<String>, StoreError> {
    match database {
        Database::Sqlite(path) => sqlite::migrate::down(path).await,
        #[cfg(feature = "mysql")]
        Database::MySql(config) => mysql::migrate::down(config).await,
    }
}
