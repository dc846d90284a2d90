//! Why a delivery ledger could not do what it was asked.

use std::time::Duration;

use hookswitch_protocol::Retry;

/// Why the ledger could not do it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database is down, busy or did not answer in time. Nothing was changed, unless it fell silent
    /// while it was committing: then all was done or nothing, and nobody can know. So `finish` may be
    /// called again, and who publishes again gets no second delivery where he chose the event's id.
    #[error("delivery ledger is unavailable while trying to {operation}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database takes no row this large. Nothing was changed, and never will be.
    #[error("the database takes nothing this large while trying to {operation}")]
    TooLarge {
        /// What was tried.
        operation: &'static str,
        /// How large it was, and what the limit is.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LedgerError {
    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unavailable { .. } => Retry::After(Duration::from_secs(1)),
            Self::TooLarge { .. } => Retry::Never,
        }
    }

    /// How long to wait before that; `otherwise` where it is not worth it and there is no way around it.
    pub(crate) fn wait(&self, otherwise: Duration) -> Duration {
        match self.retry() {
            Retry::Now => Duration::ZERO,
            Retry::After(wait) => wait,
            Retry::Never => otherwise,
        }
    }
}
