//! Why a call on the facade was not done.

use hookswitch_protocol::{ErrorCode, Retry, WebhookId};

use crate::directory::DirectoryError;
use crate::ledger::LedgerError;
use crate::rules::InvalidWebhook;

/// Why a webhook could not be made, read, changed or tested.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The tenant has no such webhook.
    #[error("webhook {id} not found")]
    NotFound {
        /// What was asked for.
        id: WebhookId,
    },
    /// A field cannot be accepted.
    #[error(transparent)]
    Invalid(#[from] InvalidWebhook),
    /// The database is away.
    #[error("webhooks cannot be read or changed now")]
    Directory(#[from] DirectoryError),
    /// As many tests as allowed are running on this node.
    #[error("too many webhook tests are running, try again later")]
    TooManyTests,
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Stopping,
}

impl WebhookError {
    /// The code to tell the client.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::Invalid(invalid) => invalid.code,
            Self::Directory(_) => ErrorCode::StorageUnavailable,
            Self::TooManyTests => ErrorCode::Overloaded,
            Self::Stopping => ErrorCode::Draining,
        }
    }

    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotFound { .. } | Self::Invalid(_) | Self::Stopping => Retry::Never,
            Self::Directory(error) => error.retry(),
            Self::TooManyTests => Retry::After(std::time::Duration::from_secs(1)),
        }
    }
}

/// Why the machinery could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The leases of this node's former self could not be given back.
    #[error("webhooks cannot start: leases cannot be given back")]
    Reclaim(#[source] LedgerError),
    /// The registrations could not be read.
    #[error("webhooks cannot start: registrations cannot be read")]
    Table(#[source] DirectoryError),
}
