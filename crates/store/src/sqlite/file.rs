//! The database file: how its path is checked, and how what goes wrong with it is told.

use std::path::{Path, PathBuf};

use crate::error::{Cause, StoreError};

/// The path as SQLite shall see it: absolute, so that no name can look like a URI.
pub(super) fn check_path(path: &Path) -> Result<String, StoreError> {
    if path == Path::new(":memory:") || path.as_os_str().is_empty() {
        return Err(StoreError::InMemory);
    }
    let absolute = std::path::absolute(path).map_err(|source| failed("find", path, Box::new(source)))?;
    if let Some(directory) = absolute.parent().filter(|directory| !directory.is_dir()) {
        return Err(StoreError::NoDirectory { directory: directory.to_owned() });
    }
    absolute.into_os_string().into_string().map_err(|path| StoreError::NotUtf8 { path: PathBuf::from(path) })
}

pub(super) fn failed(operation: &'static str, path: impl AsRef<Path>, source: Cause) -> StoreError {
    StoreError::File { operation, path: path.as_ref().to_owned(), source }
}

/// Which file stands under a name: another one with the same name is told apart where the system can do that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// `None` when there is none, or it cannot be looked at.
    #[cfg(unix)]
    pub(super) fn of(path: &str) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;

        std::fs::metadata(path).ok().map(|file| Self(file.dev(), file.ino()))
    }

    /// `None` when there is none, or it cannot be looked at.
    #[cfg(not(unix))]
    pub(super) fn of(path: &str) -> Option<Self> {
        std::fs::metadata(path).ok().map(|_| Self(0, 0))
    }
}
