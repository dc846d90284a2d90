//! The open store: one handle to it, whichever the database.

use std::sync::Arc;

use hookswitch_runtime::metrics::{Registry, register_gauge};

use super::inner::Inner;
use crate::error::StoreError;
use crate::metrics::StoreMetrics;

/// An open database. Clones share it; its connections close after the last one is gone, or at its
/// scope's end. A MySQL or MariaDB database may be in use by several nodes at once.
///
/// Keeps [`WebhookDirectory`](hookswitch_webhooks::WebhookDirectory),
/// [`DeliveryLedger`](hookswitch_webhooks::DeliveryLedger),
/// [`AttemptLog`](hookswitch_webhooks::AttemptLog), [`OfflineStore`](hookswitch_hub::OfflineStore),
/// [`ChatSessionStore`](hookswitch_hub::ChatSessionStore) and [`HistoryStore`](hookswitch_hub::HistoryStore): `Arc::new(store.clone())` is any of them.
/// A call whose future is dropped is done or not done; once it reached a writer it runs to its end.
/// A server that goes away makes calls fail, and is used again when it is back.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl Store {
    /// Whether writing works, for readiness: at rest a look whether the database answers; after a write
    /// failed, an error until a small one of our own has worked.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`].
    pub async fn check_writing(&self) -> Result<(), StoreError> {
        let checked = self.inner.check_writing().await;
        checked.map_err(|failure| StoreError::Unwritable { source: Box::new(failure) })
    }

    /// What it counts.
    pub fn metrics(&self) -> &StoreMetrics {
        &self.inner.metrics
    }

    /// Calls that wait for a writer now.
    pub fn n_waiting(&self) -> usize {
        self.inner.n_waiting()
    }

    /// Registers everything that it counts, and how much waits now. The registry does not keep it open.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.inner.metrics.register(registry);
        let store = Arc::downgrade(&self.inner);
        let n_waiting = move || store.upgrade().map_or(0, |store| store.n_waiting() as u64);
        register_gauge(registry, "store_waiting", "Calls that wait for a writer of the database", n_waiting);
        let store = Arc::downgrade(&self.inner);
        let n_reading = move || store.upgrade().map_or(0, |store| store.readers.n_running());
        register_gauge(registry, "store_reads", "Reads of the database that run now, or still end", n_reading);
        let store = Arc::downgrade(&self.inner);
        let n_reads_waiting = move || store.upgrade().map_or(0, |store| store.readers.n_waiting() as u64);
        register_gauge(registry, "store_reads_waiting", "Reads that wait for a connection", n_reads_waiting);
    }
}
