//! The open store: its parts, and how it opens.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use hookswitch_hub::UserKey;
use hookswitch_runtime::{Clock, Scope};
use tokio::time::Instant;

use crate::config::StoreConfig;
use crate::connect::{self, Wrapped};
use crate::dialect::{self, Conn};
use crate::error::{Cause, Failure, StoreError};
use crate::lock::{FileLock, private};
use crate::queries;
use crate::reader::Readers;
use crate::writer::{StoreCounters, Writer, WriterTask};

/// How often messages that are too old are looked for; claims look for themselves.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(5);

/// Most messages that expire in one transaction.
const EXPIRY_STEP: i64 = 1_000;

/// An open database. Clones share it; it closes after the last one is gone, or at its scope's end.
///
/// Keeps [`WebhookDirectory`](hookswitch_webhooks::WebhookDirectory),
/// [`DeliveryLedger`](hookswitch_webhooks::DeliveryLedger),
/// [`AttemptLog`](hookswitch_webhooks::AttemptLog), [`OfflineStore`](hookswitch_hub::OfflineStore) and
/// [`ChatSessionStore`](hookswitch_hub::ChatSessionStore): `Arc::new(store.clone())` is any of them.
/// A call whose future is dropped is done or not done; once it reached the writer it is done.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) clock: Clock,
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    /// Users for whom messages wait or drops are to be told. Changed by the writer between commit and answer.
    pub(crate) waiting: Arc<RwLock<HashSet<UserKey>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the file, making it when missing (readable by this system user only), takes its lock,
    /// brings its tables up to date, voids the offline claims of a former process and starts the writer.
    ///
    /// `scope` should be the store's own: at its soft token the writer serves what is queued and
    /// ends, and calls after that are `Unavailable`.
    ///
    /// # Errors
    /// [`StoreError`]; its texts say what to do.
    pub async fn open(config: StoreConfig, clock: Clock, scope: &Scope) -> Result<Self, StoreError> {
        let path = check_path(&config.path)?;
        let lock = Arc::new(FileLock::take(Path::new(&path), config.lock_wait).await?);
        let (conn, waiting) = prepare(path.clone(), config.clone()).await?;
        let pool = connect::readers(&path, &config).map_err(|source| failed("read", &path, Box::new(source)))?;
        let (writer, queue, tally) = Writer::new(config.queue, config.wait);
        let task = WriterTask {
            path,
            busy_timeout: config.busy_timeout,
            queue,
            tally,
            conn: Some(Wrapped::new(conn)),
            is_told: false,
            lock,
        };
        scope.spawn("store writer", task.run(scope.clone()));
        let waiting = Arc::new(RwLock::new(waiting));
        let inner = Arc::new(Inner { config, clock, writer, readers: Readers::new(pool), waiting });
        scope.spawn("store expiry", expire(Arc::downgrade(&inner), scope.clone()));
        Ok(Self { inner })
    }

    /// Whether writing works, for readiness: at rest a look whether the writer answers; after a write
    /// failed, an error until a small one of our own has worked.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn check_writing(&self) -> Result<(), StoreError> {
        let checked = self.inner.writer.check().await;
        checked.map_err(|failure| StoreError::Unwritable { source: Box::new(failure) })
    }

    /// What it has done so far.
    pub fn counters(&self) -> StoreCounters {
        self.inner.writer.counters()
    }
}

/// The path as SQLite shall see it: absolute, so that no name can look like a URI.
fn check_path(path: &Path) -> Result<String, StoreError> {
    if path == Path::new(":memory:") || path.as_os_str().is_empty() {
        return Err(StoreError::InMemory);
    }
    let absolute = std::path::absolute(path).map_err(|source| failed("find", path, Box::new(source)))?;
    if let Some(directory) = absolute.parent().filter(|directory| !directory.is_dir()) {
        return Err(StoreError::NoDirectory { directory: directory.to_owned() });
    }
    absolute.into_os_string().into_string().map_err(|path| StoreError::NotUtf8 { path: PathBuf::from(path) })
}

fn failed(operation: &'static str, path: impl AsRef<Path>, source: Cause) -> StoreError {
    StoreError::File { operation, path: path.as_ref().to_owned(), source }
}

/// Everything that blocks, on a thread where it may.
async fn prepare(path: String, config: StoreConfig) -> Result<(Conn, HashSet<UserKey>), StoreError> {
    let opening = path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let path = opening;
        private().open(&path).map_err(|source| failed("open", &path, Box::new(source)))?;
        let mut conn =
            connect::writer(&path, config.busy_timeout).map_err(|source| failed("open", &path, Box::new(source)))?;
        connect::migrate(&mut conn, Path::new(&path))?;
        let waiting = dialect::write_transaction(&mut conn, queries::offline::recover)
            .map_err(|source| failed("read", &path, Box::new(source)))?;
        Ok((conn, waiting))
    });
    opened.await.unwrap_or_else(|gone| Err(failed("open", &path, Box::new(gone))))
}

/// Drops offline messages that are too old while the store lives.
async fn expire(store: Weak<Inner>, scope: Scope) {
    let mut ticks = tokio::time::interval_at(Instant::now() + EXPIRY_INTERVAL, EXPIRY_INTERVAL);
    loop {
        tokio::select! {
            () = scope.soft().cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.expire_offline().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "offline messages could not be expired");
        }
    }
}

impl Inner {
    /// Drops what is older than the bound, in steps that leave room for others.
    pub(crate) async fn expire_offline(&self) -> Result<(), Failure> {
        loop {
            let oldest = self.clock.now().before(self.config.offline.max_age);
            let step = move |conn: &mut Conn| queries::offline::expire(conn, oldest, EXPIRY_STEP);
            if self.writer.call(step).await? < EXPIRY_STEP as usize {
                return Ok(());
            }
        }
    }

    /// A hook for the writer: remembers for whom there is something to tell.
    pub(crate) fn note(waiting: &RwLock<HashSet<UserKey>>, user: &UserKey, has_some: bool) {
        let mut waiting = waiting.write().unwrap_or_else(PoisonError::into_inner);
        if !has_some {
            waiting.remove(user);
        } else if !waiting.contains(user) {
            waiting.insert(user.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use diesel::connection::{Connection as _, SimpleConnection as _};
    use hookswitch_hub::{OfflineMessage, OfflineStore as _};
    use hookswitch_protocol::{EventId, TenantId, Timestamp, UserId};

    use super::*;

    fn agent() -> UserKey {
        UserKey { tenant: TenantId::parse("tenant-1").expect("legal"), user: UserId::from(7) }
    }

    fn messages(clock: &Clock, ids: std::ops::Range<i64>) -> Vec<OfflineMessage> {
        let message = |id: i64| OfflineMessage {
            user: agent(),
            event_id: EventId::parse(&id.to_string()).expect("legal"),
            envelope: Bytes::from_static(b"{}"),
            at: clock.now(),
        };
        ids.map(message).collect()
    }

    #[tokio::test]
    async fn messages_expire_while_nobody_comes_and_are_told_later() {
        let directory = tempfile::tempdir().expect("a directory");
        let (scope, clock) = (Scope::root("test"), Clock::manual(Timestamp::from_millis(1_000_000)));
        let config = StoreConfig::new(directory.path().join("x.db"));
        let store = Store::open(config, clock.clone(), &scope).await.expect("opens");
        store.put(messages(&clock, 0..1_500)).await.expect("put");
        clock.advance(store.inner.config.offline.max_age + Duration::from_millis(1));
        store.put(messages(&clock, 1_500..1_501)).await.expect("put");
        store.inner.expire_offline().await.expect("expires, in two steps");
        assert!(store.may_have(&agent()));
        let claim = store.claim(&agent(), 10).await.expect("claim");
        assert_eq!((claim.messages.len(), claim.n_dropped), (1, 1_500));
        store.confirm(&agent(), &[claim.messages[0].number]).await.expect("confirm");
        assert!(!store.may_have(&agent()), "exactly known that nothing waits");
    }

    #[tokio::test]
    async fn what_an_operator_removed_is_not_expected_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.db");
        let (scope, clock) = (Scope::root("test"), Clock::system());
        let store = Store::open(StoreConfig::new(&path), clock.clone(), &scope).await.expect("opens");
        store.put(messages(&clock, 0..3)).await.expect("put");
        drop(store);
        let mut operator = Conn::establish(path.to_str().expect("UTF-8")).expect("opens");
        operator.batch_execute("PRAGMA busy_timeout = 5000; DELETE FROM offline_messages").expect("deletes");
        let store = Store::open(StoreConfig::new(&path), clock, &scope).await.expect("opens");
        assert!(!store.may_have(&agent()));
    }
}
