//! One process per file: an advisory lock beside the database.
//!
//! SQLite's own exclusive mode is no choice, because operators insert webhooks with the `sqlite3`
//! program beside a running server.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;

const STEP: Duration = Duration::from_millis(20);

/// Held as long as anything may still write; the system lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    _held: File,
}

impl FileLock {
    /// Takes the lock, waiting up to `wait` for a process that is just ending.
    pub(crate) async fn take(database: &Path, wait: Duration) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let failed = |source: std::io::Error| StoreError::File {
            operation: "lock",
            path: path.clone(),
            source: Box::new(source),
        };
        let file = private().open(&path).map_err(failed)?;
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _held: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(STEP).await,
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: database.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Opens for reading and writing, makes the file when missing, for this system user only: the
/// database holds webhook secrets.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
