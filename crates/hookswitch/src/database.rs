//! The database, of whichever kind: how it is opened, and what the node asks of it.

use std::sync::Arc;

use hookswitch_hub::{ChatSessionStore, HistoryStore, OfflineLimits, OfflineStore, Seams};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_store::StoreError;
#[cfg(feature = "mysql")]
use hookswitch_store::{MySqlConfig, MySqlStore};
#[cfg(feature = "sqlite")]
use hookswitch_store::{Store, StoreConfig};
use hookswitch_webhooks::WebhookSeams;

/// Which database to open.
#[derive(Debug, Clone)]
pub(crate) enum DatabaseConfig {
    #[cfg(feature = "sqlite")]
    Sqlite(StoreConfig),
    #[cfg(feature = "mysql")]
    MySql(Box<MySqlConfig>),
}

/// An open one.
#[derive(Debug, Clone)]
pub(crate) enum OpenDatabase {
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<Store>),
    #[cfg(feature = "mysql")]
    MySql(Arc<MySqlStore>),
}

impl DatabaseConfig {
    pub(crate) async fn open(
        self,
        offline: OfflineLimits,
        clock: Clock,
        scope: &Scope,
    ) -> Result<OpenDatabase, StoreError> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(config) => OpenDatabase::Sqlite(Arc::new(Store::open(config, offline, clock, scope).await?)),
            #[cfg(feature = "mysql")]
            Self::MySql(config) => {
                OpenDatabase::MySql(Arc::new(MySqlStore::open(*config, offline, clock, scope).await?))
            }
        })
    }
}

/// What the hub has this store keep.
fn hub_seams<S: OfflineStore + ChatSessionStore + HistoryStore + 'static>(store: &Arc<S>, clock: &Clock) -> Seams {
    let (offline, chat) = (store.clone(), store.clone());
    Seams { offline, chat, history: Some(store.clone()), ..Seams::memory(clock) }
}

impl OpenDatabase {
    pub(crate) fn webhooks(&self) -> WebhookSeams {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => WebhookSeams { directory: store.clone(), ledger: store.clone(), log: store.clone() },
            #[cfg(feature = "mysql")]
            Self::MySql(store) => WebhookSeams { directory: store.clone(), ledger: store.clone(), log: store.clone() },
        }
    }

    /// Messages for absent users, chat sessions and recent history, the rest in memory.
    pub(crate) fn hub(&self, clock: &Clock) -> Seams {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => hub_seams(store, clock),
            #[cfg(feature = "mysql")]
            Self::MySql(store) => hub_seams(store, clock),
        }
    }

    /// Registers what the store counts.
    #[cfg(feature = "gateway")]
    pub(crate) fn register_metrics(&self, registry: &mut hookswitch_runtime::metrics::Registry) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.register_metrics(registry),
            #[cfg(feature = "mysql")]
            Self::MySql(store) => store.register_metrics(registry),
        }
    }

    /// Whether it takes a write.
    #[cfg(feature = "gateway")]
    pub(crate) async fn check_writing(&self) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(store) => store.check_writing().await,
            #[cfg(feature = "mysql")]
            Self::MySql(store) => store.check_writing().await,
        }
    }
}
