//! Why a call on the facade was not done.

use std::time::Duration;

use hookswitch_protocol::{DeliveryId, ErrorCode, Retry, WebhookId};

use crate::rules::InvalidWebhook;
use crate::seams::directory::DirectoryError;
use crate::seams::ledger::LedgerError;

/// Why a webhook could not be made, read, changed, tested, or its deliveries made again.
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
    /// The tenant has as many webhooks as it may.
    #[error("the limit of {most} webhooks per tenant is reached (WEBHOOK_MAX_PER_TENANT): delete one first")]
    TooManyWebhooks {
        /// How many it may have.
        most: u32,
    },
    /// The database is away, or has no time for this tenant.
    #[error("{}", words(.0))]
    Directory(#[source] DirectoryError),
    /// The ledger is away.
    #[error("deliveries cannot be made due now")]
    Ledger(#[from] LedgerError),
    /// The webhook has no such delivery, or retention has taken it.
    #[error("delivery {delivery} not found, or its retention is over")]
    DeliveryNotFound {
        /// What was asked for.
        delivery: DeliveryId,
    },
    /// The delivery waits for its next attempt, or is being attempted.
    #[error("delivery {delivery} is under way already")]
    UnderWay {
        /// Which.
        delivery: DeliveryId,
    },
    /// Nothing can be sent to a webhook that is switched off.
    #[error("webhook {id} is switched off: enable it first")]
    Inactive {
        /// Which.
        id: WebhookId,
    },
    /// As many resends as allowed are running on this node, in all or of this tenant.
    #[error("too many resends are running, try again later")]
    TooManyResends,
    /// As many tests as allowed are running on this node, in all or of this tenant.
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
            Self::NotFound { .. } | Self::DeliveryNotFound { .. } => ErrorCode::NotFound,
            Self::UnderWay { .. } | Self::Inactive { .. } | Self::TooManyWebhooks { .. } => ErrorCode::Conflict,
            Self::Invalid(invalid) => invalid.code,
            Self::Directory(DirectoryError::Busy { .. } | DirectoryError::TooLong { .. })
            | Self::TooManyTests
            | Self::TooManyResends => ErrorCode::Overloaded,
            Self::Directory(_) | Self::Ledger(_) => ErrorCode::StorageUnavailable,
            Self::Stopping => ErrorCode::Draining,
        }
    }

    /// Whether it is worth trying again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotFound { .. }
            | Self::DeliveryNotFound { .. }
            | Self::UnderWay { .. }
            | Self::Inactive { .. }
            | Self::TooManyWebhooks { .. }
            | Self::Invalid(_)
            | Self::Stopping => Retry::Never,
            Self::Directory(error) => error.retry(),
            Self::Ledger(error) => error.retry(),
            Self::TooManyTests | Self::TooManyResends => Retry::After(Duration::from_secs(1)),
        }
    }
}

impl From<DirectoryError> for WebhookError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::TooMany { most } => Self::TooManyWebhooks { most },
            DirectoryError::PresentSecret => InvalidWebhook::new("secret", "is the present secret already").into(),
            error => Self::Directory(error),
        }
    }
}

/// What whoever asked can do about it.
fn words(error: &DirectoryError) -> String {
    match error {
        DirectoryError::Unavailable { .. } | DirectoryError::TooMany { .. } | DirectoryError::PresentSecret => {
            "webhooks cannot be read or changed now".to_owned()
        }
        DirectoryError::Busy { .. } => {
            "too many reports of this tenant are running and waiting, try again later".to_owned()
        }
        DirectoryError::TooLong { limit, .. } => {
            format!("the report took longer than {limit:?} and was ended: ask for less, by since, event or status")
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
