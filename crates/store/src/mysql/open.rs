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
use super::engine::{Inner, PendingUsers, ReadLimits, ReaderClasses, Store, Writer, WriterContext, n_unreadable};
use super::{migrate, offline_claim};
use crate::codec::Codec;
use crate::error::{Failure, StoreError};
use crate::metrics::StoreMetrics;

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
        let codec = Arc::new(Codec::new(config.secret_keys.clone()));
        drop(check_seals(looking, &config, codec.clone()).await?);
        let bounds = (config.queue, config.wait);
        let writing = connector.writing();
        let (acceptance, dispatch) = (writing.log_in().await?, writing.log_in().await?);
        let metrics = StoreMetrics::default();
        let row_numbers = RowNumbers::new(RandomState::new());
        let context = Arc::new(WriterContext { codec: codec.clone(), row_numbers });
        let limits = ReadLimits {
            n_reports: config.n_readers,
            report_limit: config.report_limit,
            limit: config.answer_wait,
            wait: config.wait,
        };
        let inner = Inner {
            offline,
            codec,
            readers: ReaderClasses::new(|limit| connector.reading(limit), limits, &metrics),
            acceptance: Writer::start(writing.clone(), acceptance, context.clone(), bounds, metrics.clone(), scope),
            dispatch: Writer::start(writing, dispatch, context.clone(), bounds, metrics.clone(), scope),
            pending_users: PendingUsers::new(None),
            liveness: Arc::default(),
            holder: Arc::from(NodeId::generate(clock.now()).as_str()),
            metrics,
            clock,
        };
        let inner = inner.share(scope);
        scope.spawn("store heartbeat", renew_claims(Arc::downgrade(&inner), scope.clone()));
        Ok(Self { inner })
    }
}

/// Gives the connection back when every seal in the tables can be opened: nothing is ever sent unsigned.
async fn check_seals(conn: Conn, config: &MySqlConfig, codec: Arc<Codec>) -> Result<Conn, StoreError> {
    let checked = migrate::blocking(conn, config.to_string(), move |conn, database| {
        let failed = |source: diesel::result::Error| migrate::failed("read", database, Box::new(source));
        match n_unreadable(conn, &codec).map_err(failed)? {
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
        let renewed: Result<usize, Failure> =
            store.dispatch.call(move |conn: &mut Conn| offline_claim::renew(conn, &holder, now)).await;
        if let Err(error) = renewed {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "claims of offline messages could not be renewed"
            );
        }
    }
}
