//! How a file is opened.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use hookswitch_hub::{OfflineLimits, UserKey};
use hookswitch_runtime::{Clock, Scope};

use super::connect::Connector;
use super::dialect::{self, Conn, RowNumbers};
use super::engine::{
    Chores, Inner, PendingUsers, ReadLimits, ReaderClasses, Store, Writer, WriterContext, kept_open, n_unreadable,
    share,
};
use super::file::{check_path, failed};
use super::lock::{FileLock, private};
use super::{migrate, recover};
use crate::config::StoreConfig;
use crate::ended_nodes::EndedNodes;
use crate::error::StoreError;
use crate::metrics::StoreMetrics;
use crate::webhook_columns::WebhookColumns;

impl Store {
    /// Opens the file, making it when missing (readable by this system user only), takes its lock,
    /// brings its tables up to date, voids the offline claims of a former process and starts the writer.
    ///
    /// `offline` bounds the messages for absent users. `scope` should be the store's own: at its soft token the writer serves what is queued and
    /// ends, and calls after that are `Unavailable`.
    ///
    /// # Errors
    /// [`StoreError`]; its texts say what to do.
    pub async fn open(
        config: StoreConfig,
        offline: OfflineLimits,
        clock: Clock,
        scope: &Scope,
    ) -> Result<Self, StoreError> {
        let path = check_path(&config.path)?;
        let lock = Arc::new(FileLock::take(Path::new(&path), config.lock_wait).await?);
        let connector = Connector::writing(&path, config.busy_timeout, lock);
        let columns = Arc::new(WebhookColumns::new(config.secret_keys));
        let (conn, waiting) = prepare(path.clone(), connector.clone(), columns.clone()).await?;
        let metrics = StoreMetrics::default();
        let context = Arc::new(WriterContext { columns: columns.clone(), row_numbers: RowNumbers });
        let bounds = (config.queue, config.wait);
        let limits = ReadLimits {
            n_reports: config.n_readers,
            report_limit: config.report_limit,
            limit: config.wait,
            wait: config.wait,
        };
        let readers = ReaderClasses::new(|_limit| connector.reading(config.reports_rest), limits, &metrics);
        let (open, closing) = kept_open();
        let writer = Writer::start(connector, conn, context, bounds, metrics.clone(), (scope, closing));
        let inner = Inner {
            offline,
            metrics,
            columns,
            clock,
            acceptance: writer.clone(),
            dispatch: writer,
            readers,
            pending_users: PendingUsers::new(Some(waiting)),
            liveness: Arc::default(),
            holder: Arc::from("this process"),
            chores: Chores::default(),
            directory: Arc::default(),
            ended_nodes: EndedNodes::default(),
        };
        Ok(Self { inner: share(inner, open, scope) })
    }
}

/// Everything that blocks, on a thread where it may.
async fn prepare(
    path: String,
    connector: Connector,
    columns: Arc<WebhookColumns>,
) -> Result<(Conn, HashSet<UserKey>), StoreError> {
    let opening = path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let path = opening;
        private().open(&path).map_err(|source| failed("open", &path, Box::new(source)))?;
        let mut conn = connector.open_blocking().map_err(|source| failed("open", &path, Box::new(source)))?;
        migrate::migrate(&mut conn, Path::new(&path))?;
        match n_unreadable(&mut conn, &columns).map_err(|source| failed("read", &path, Box::new(source)))? {
            0 => {}
            n_rows => return Err(StoreError::Sealed { database: path, n_rows }),
        }
        let waiting = dialect::write_transaction(&mut conn, recover::recover)
            .map_err(|source| failed("read", &path, Box::new(source)))?;
        Ok((conn, waiting))
    });
    opened.await.unwrap_or_else(|gone| Err(failed("open", &path, Box::new(gone))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use diesel::connection::{Connection as _, SimpleConnection as _};
    use hookswitch_hub::{MessageNumber, OfflineMessage, OfflineStore as _};
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
        let store = Store::open(config, OfflineLimits::default(), clock.clone(), &scope).await.expect("opens");
        store.put(messages(&clock, 0..1_500)).await.expect("put");
        clock.advance(store.inner.offline.max_age + Duration::from_millis(1));
        store.put(messages(&clock, 1_500..1_501)).await.expect("put");
        store.inner.expire_offline().await.expect("expires, in two steps");
        assert!(store.may_have(&agent()));
        let claim = store.claim(&agent(), 10).await.expect("claim");
        assert_eq!((claim.messages.len(), claim.n_dropped), (1, 1_500));
        store.confirm(&agent(), &[claim.messages[0].number]).await.expect("confirm");
        assert!(!store.may_have(&agent()), "exactly known that nothing waits");
    }

    #[tokio::test]
    async fn messages_of_many_users_expire_in_steps() {
        let directory = tempfile::tempdir().expect("a directory");
        let (scope, clock) = (Scope::root("test"), Clock::manual(Timestamp::from_millis(1_000_000)));
        let config = StoreConfig::new(directory.path().join("x.db"));
        let store = Store::open(config, OfflineLimits::default(), clock.clone(), &scope).await.expect("opens");
        let of = |user: i64| UserKey { user: UserId::from(user), ..agent() };
        let messages = |clock: &Clock| -> Vec<OfflineMessage> {
            let to = |user| messages(clock, user..user + 1).into_iter().map(move |message| (user, message));
            (1..=900).flat_map(to).map(|(user, message)| OfflineMessage { user: of(user), ..message }).collect()
        };
        store.put(messages(&clock)).await.expect("put");
        assert_eq!(store.claim(&of(5), 9).await.expect("claim").messages.len(), 1);
        clock.advance(store.inner.offline.max_age + Duration::from_millis(1));
        let before = store.metrics().commits.get();
        store.inner.expire_offline().await.expect("expires");
        let n_steps = store.metrics().commits.get() - before;
        assert!((2..100).contains(&n_steps), "{n_steps} transactions");
        let told = store.claim(&of(900), 9).await.expect("claim");
        assert_eq!((told.messages.len(), told.n_dropped), (0, 1));
        store.give_back(&of(5), &[MessageNumber(5)]).await.expect("what was claimed is its claimer's still");
    }

    #[tokio::test]
    async fn what_an_operator_removed_is_not_expected_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("x.db");
        let (scope, clock) = (Scope::root("test"), Clock::system());
        let store =
            Store::open(StoreConfig::new(&path), OfflineLimits::default(), clock.clone(), &scope).await.expect("opens");
        store.put(messages(&clock, 0..3)).await.expect("put");
        drop(store);
        let mut operator = Conn::establish(path.to_str().expect("UTF-8")).expect("opens");
        operator.batch_execute("PRAGMA busy_timeout = 5000; DELETE FROM offline_messages").expect("deletes");
        let store = Store::open(StoreConfig::new(&path), OfflineLimits::default(), clock, &scope).await.expect("opens");
        assert!(!store.may_have(&agent()));
    }
}
