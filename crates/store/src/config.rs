//! What a store needs to know before it opens its file.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret_keys::SecretKeys;

/// How to open and run a store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The SQLite file. Made when missing; its directory must exist. `:memory:` is refused.
    pub path: PathBuf,
    /// Reports that run at once (lists and figures), at least 1; 4 by default, half of them of one tenant.
    /// Two on machines with fewer processors than four. Everything else is read on up to seven connections beside theirs.
    pub n_readers: usize,
    /// Reports over many rows rest for as long as they work, so that they have half of the processors at most and
    /// publishers the others; by default on machines with up to four processors.
    pub reports_rest: bool,
    /// Calls that may wait for the writer, half of them for one tenant; 2,048 by default. When they are that many,
    /// the next caller waits.
    pub queue: usize,
    /// How long a report may take before it is ended; 5 s by default.
    pub report_limit: Duration,
    /// How long a caller waits for room in the queue, or for a reading connection, before it is told
    /// `Unavailable`; 5 s by default.
    pub wait: Duration,
    /// How long a transaction waits for another program's lock on the file; 5 s by default. Operators
    /// who write with the `sqlite3` program hold that lock for milliseconds.
    pub busy_timeout: Duration,
    /// How long opening waits for a former process to let go of the file; 1 s by default.
    pub lock_wait: Duration,
    /// Seal signing secrets and custom header values; without any they stand in clear.
    pub secret_keys: SecretKeys,
}

impl StoreConfig {
    /// The defaults, with the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let n_processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            path: path.into(),
            n_readers: n_processors.clamp(2, 4),
            reports_rest: n_processors <= 4,
            report_limit: Duration::from_secs(5),
            queue: 2_048,
            wait: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            lock_wait: Duration::from_secs(1),
            secret_keys: SecretKeys::default(),
        }
    }
}
