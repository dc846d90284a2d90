//! How a server's database is opened.

use std::hash::RandomState;
use std::sync::{Arc, Weak};

use hookswitch_hub::OfflineLimits;
use hookswitch_protocol::NodeId;
use hookswitch_runtime::{Clock, Scope};
use tokio::time::Instant;

use super::config::MySqlConfig;
use super::connect::Connector;
use super::dialect::{Conn, RowNumbers};
use super::engine::{
    Chores, Inner, PendingUsers, ReadLimits, ReaderClasses, Store, Writer, WriterContext, kept_open, n_unreadable,
    share,
};
use super::{migrate, offline_claim};
use crate::error::{Failure, StoreError};
use crate::metrics::StoreMetrics;
use crate::offline_claim::Holder;
use crate::webhook_columns::WebhookColumns;
use crate::weight::{Caller, Weight};

impl Store {
    /// Logs in, sees to the schema and starts the writers.
    ///
    /// `offline` bounds the messages for absent users. `scope` should be the store's own: at its soft token the writers serve what is queued and
    /// end, and calls after that are `Unavailable`.
    ///
    /// # Errors
    /// [`StoreError`]; its texts say what to do.
    pub async fn open(
        config: MySqlConfig,
        offline: OfflineLimits,
        clock: Clock,
        scope: &Scope,
    ) -> Result<Self, StoreError> {
        let connector = Connector::new(config.clone());
        let looking = migrate::check_schema(connector.log_in().await?, &config).await?;
        let columns = Arc::new(WebhookColumns::new(config.secret_keys.clone()));
        drop(check_seals(looking, &config, columns.clone()).await?);
        let bounds = (config.queue, config.wait);
        let writing = connector.writing();
        let (acceptance, dispatch) = (writing.log_in().await?, writing.log_in().await?);
        let metrics = StoreMetrics::default();
        let row_numbers = RowNumbers::new(RandomState::new());
        let context = Arc::new(WriterContext { columns: columns.clone(), row_numbers });
        let limits = ReadLimits {
            n_reports: config.n_readers,
            report_limit: config.report_limit,
            limit: config.answer_wait,
            wait: config.wait,
        };
        let (open, closing) = kept_open();
        let start = |connector, conn| {
            let closing = (scope, closing.clone());
            Writer::start(connector, conn, Arc::clone(&context), bounds, metrics.clone(), closing)
        };
        let (acceptance, dispatch) = (start(writing.clone(), acceptance), start(writing, dispatch));
        let inner = Inner {
            offline,
            columns,
            readers: ReaderClasses::new(|limit| connector.reading(limit), limits, &metrics),
            acceptance,
            dispatch,
            pending_users: PendingUsers::new(None),
            liveness: Arc::default(),
            holder: config.node_name.as_deref().map_or_else(|| generated(&clock), Arc::from),
            metrics,
            clock,
            chores: Chores::default(),
            directory: Arc::default(),
            ended_nodes: config.ended_nodes.clone(),
        };
        let inner = share(inner, open, scope);
        let ended = config.ended_nodes;
        let freed = move |conn: &mut Conn| offline_claim::free_of_ended(conn, &ended);
        if let Err(error) = inner.dispatch.call((Caller::Node, Weight::LIGHT), freed).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "claims of ended nodes run out by themselves");
        }
        scope.spawn("store heartbeat", renew_claims(Arc::downgrade(&inner), scope.clone()));
        Ok(Self { inner })
    }
}

/// A name that no other process has.
fn generated(clock: &Clock) -> Holder {
    Arc::from(NodeId::generate(clock.now()).as_str())
}

/// Gives the connection back when every seal in the tables can be opened: nothing is ever sent unsigned.
async fn check_seals(conn: Conn, config: &MySqlConfig, columns: Arc<WebhookColumns>) -> Result<Conn, StoreError> {
    let checked = migrate::blocking(conn, config.to_string(), move |conn, database| {
        let failed = |source: diesel::result::Error| migrate::failed("read", database, Box::new(source));
        match n_unreadable(conn, &columns).map_err(failed)? {
            0 => Ok(()),
            n_rows => Err(StoreError::Sealed { database: database.to_owned(), n_rows }),
        }
    });
    checked.await.map(|(conn, ())| conn)
}

/// Renews this node's claims of offline messages while it lives.
async fn renew_claims(store: Weak<Inner>, scope: Scope) {
    let mut ticks =
        tokio::time::interval_at(Instant::now() + offline_claim::RENEWAL_INTERVAL, offline_claim::RENEWAL_INTERVAL);
    loop {
        tokio::select! {
            () = scope.soft().cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(store) = store.upgrade() else { return };
        let (holder, now) = (store.holder.clone(), store.clock.now());
        let renewed: Result<usize, Failure> = {
            let renew = move |conn: &mut Conn| offline_claim::renew(conn, &holder, now);
            store.dispatch.call((Caller::Node, Weight::LIGHT), renew).await
        };
        if let Err(error) = renewed {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "claims of offline messages could not be renewed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_hub::{OfflineStore as _, UserKey};
    use hookswitch_protocol::{TenantId, Timestamp, UserId};
    use hookswitch_testkit::MariaDbServer;

    use super::*;

    /// Old messages of a thousand users, one of which somebody works with, and one of a node that has ended.
    const OLD: &str = "
    INSERT INTO offline_messages (tenant_id, user_id, event_id, envelope, accepted_at)
    SELECT 't', seq, 'e', '{}', 1 FROM seq_1_to_1000;
    INSERT INTO offline_users (tenant_id, user_id, n_messages, n_bytes) SELECT 't', seq, 1, 2 FROM seq_1_to_1000;
    UPDATE offline_messages SET is_claimed = TRUE WHERE user_id IN ('3', '4');
    UPDATE offline_users SET held_by = 'ended', held_until = 1 WHERE user_id = '3';
    UPDATE offline_users SET held_by = 'lives', held_until = 99999999999999 WHERE user_id = '4';";

    #[tokio::test(flavor = "multi_thread")]
    async fn messages_of_many_users_expire_in_steps_past_locked_rows() {
        let server = MariaDbServer::start().await;
        let database = server.create_database().await;
        let (scope, clock) = (Scope::root("test"), Clock::manual(Timestamp::from_millis(1_000)));
        let config = MySqlConfig { migrates: true, ..MySqlConfig::parse_url(&database.url()).expect("a URL") };
        let store = Store::open(config, OfflineLimits::default(), clock.clone(), &scope).await.expect("opens");
        database.sql(OLD).await;
        clock.advance(store.inner.offline.max_age + Duration::from_hours(1));
        let locked = "BEGIN; UPDATE offline_users SET n_dropped = n_dropped WHERE tenant_id = 't' AND user_id = '5'; SELECT SLEEP(6); COMMIT";
        let expired = async {
            // Not the table of transactions: the server renews that only when nobody has looked for a while.
            let is_locked = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'";
            hookswitch_testkit::eventually("a row is locked", hookswitch_testkit::PATIENCE, async || {
                database.sql(is_locked).await == "1"
            })
            .await;
            let before = store.metrics().commits.get();
            store.inner.expire_offline().await.expect("expires");
            assert!(store.metrics().commits.get() - before < 120, "a few rows at least in each");
            let left = database.sql("SELECT user_id FROM offline_messages ORDER BY user_id").await;
            assert_eq!(left.lines().collect::<Vec<_>>(), ["4", "5"], "what is claimed or locked waits");
        };
        tokio::join!(database.sql(locked), expired);
        let counts = "SELECT COUNT(*) FROM offline_users WHERE n_messages = 0 AND n_dropped = 1 AND n_bytes = 0";
        assert_eq!(database.sql(counts).await, "998");
        let user = UserKey { tenant: TenantId::parse("t").expect("legal"), user: UserId::from(9) };
        assert_eq!(store.claim(&user, 9).await.expect("claim").n_dropped, 1);
        scope.shut_down(Duration::from_secs(5)).await;
    }
}
