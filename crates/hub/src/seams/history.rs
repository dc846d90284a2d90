//! The seam for recent history over a restart of a node that is by itself.

use bytes::Bytes;
use hookswitch_protocol::TenantId;

use hookswitch_runtime::BoxFuture;

/// Keeps what a node by itself saves as it ends, for the next one on the same store.
///
/// A dropped future leaves the call done or not done.
pub trait HistoryStore: Send + Sync {
    /// Saves these parts; one of the same tenant and number is replaced. Returns when they survive a crash. All or
    /// nothing where they are few; after an error some may have been saved.
    fn save(&self, parts: Vec<SavedPart>) -> BoxFuture<'_, Result<(), HistoryError>>;

    /// Everything that is saved, by tenant and number, rising, and it is saved no longer: read and deleted in one
    /// transaction, which is committed when this returns. So nothing is ever gone on from twice.
    fn take(&self) -> BoxFuture<'_, Result<Vec<SavedPart>, HistoryError>>;
}

/// A part of a tenant's recent history, in a form that only the hub reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPart {
    /// Whose it is.
    pub tenant: TenantId,
    /// 0 says where the tenant's history ends; the others hold events, the newest first.
    pub number: u32,
    /// At most about 256 KiB, or one event.
    pub body: Bytes,
}

/// Why history could not be saved or taken back.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The store is down or did not answer in time.
    #[error("history store is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
