//! Why a history could not be appended to or read.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::link::LinkError;

/// What the client or the server says.
type Source = Arc<dyn StdError + Send + Sync>;

/// Why Redis did not do it, with the key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HistoryError {
    /// There is no connection: nothing was sent.
    #[error("there is no connection to Redis to {operation} at {key}")]
    Away {
        /// What was to be done.
        operation: &'static str,
        /// Of which key.
        key: String,
        /// What is known of it.
        #[source]
        source: Source,
    },
    /// Redis answered that it does not do this, and changed nothing: a key of the wrong type, no memory, no permission,
    /// a replica.
    #[error("Redis refused to {operation} at {key}")]
    Refused {
        /// What was asked of it.
        operation: &'static str,
        /// The key that it concerns.
        key: String,
        /// Its answer.
        #[source]
        source: Source,
    },
    /// No answer, or none that can be read: it may have been done, and may yet be.
    #[error("Redis did not answer when it was to {operation} at {key}")]
    Unanswered {
        /// What was asked of it.
        operation: &'static str,
        /// The key that it concerns.
        key: String,
        /// What is known of it.
        #[source]
        source: Source,
    },
    /// A later batch of this node is in the history already: this one was sent by a caller that did not wait.
    #[error("{key} holds a later batch of this node than {sequence}")]
    Past {
        /// The head.
        key: String,
        /// Of the batch.
        sequence: u64,
    },
}

impl HistoryError {
    /// Whether a batch may be in the history nevertheless: it is sent again, the same one, before any other of its
    /// tenant.
    pub fn is_doubtful(&self) -> bool {
        matches!(self, Self::Unanswered { .. })
    }

    pub(super) fn new(operation: &'static str, key: &str, error: &Arc<LinkError>) -> Self {
        let (key, source) = (key.to_owned(), Arc::clone(error) as Source);
        match &**error {
            LinkError::Away { .. } => Self::Away { operation, key, source },
            error if error.is_refusal() => Self::Refused { operation, key, source },
            LinkError::Failed { .. } => Self::Unanswered { operation, key, source },
        }
    }
}
