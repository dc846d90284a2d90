//! What the directory was when its marks were last looked at as a whole.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use diesel::QueryResult;
use tokio::time::Instant;

use super::dialect::{self, Conn};

/// How often all marks are looked at though none is new: for what leaves no new one, a row deleted by hand or one that
/// was changed long before its transaction ended.
const WHOLE_INTERVAL: Duration = Duration::from_secs(30);

/// The version as it was last read, and what was new then.
#[derive(Debug, Default)]
pub(crate) struct KnownVersion(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    recent: String,
    version: String,
    read: Instant,
}

impl KnownVersion {
    /// The directory's version, which every node asks for once a second: all marks are read only when there are new
    /// ones, or after a while.
    pub(crate) fn read(&self, conn: &mut Conn) -> QueryResult<String> {
        let recent = dialect::recent_changes(conn)?;
        if let Some(version) = self.known(&recent) {
            return Ok(version);
        }
        let read = Instant::now();
        let version = dialect::directory_version(conn)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Known { recent, version: version.clone(), read });
        Ok(version)
    }

    fn known(&self, recent: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_ref().filter(|known| known.recent == recent && known.read.elapsed() < WHOLE_INTERVAL)?;
        Some(known.version.clone())
    }
}
