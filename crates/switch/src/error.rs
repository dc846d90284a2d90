//! Why events were not accepted.

use std::time::Duration;

use hookswitch_hub::{HubError, OfflineError, PresenceError, SessionError};
use hookswitch_protocol::{ErrorCode, EventId, EventType, InvalidPayload, Retry, SessionKey, limits};
use hookswitch_webhooks::LedgerError;

/// Why a call was refused. Nothing was accepted then, but for [`AcceptError::Partly`]: no id remembered, no
/// webhook informed, nothing delivered. Where a store failed midway, a message kept for an absent user may stay.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// More events than one call may hold, or, over HTTP, none.
    #[error("events holds {n_events} events, 1 to {} are allowed", limits::EVENTS_PER_REQUEST)]
    BatchSize {
        /// How many there were.
        n_events: usize,
    },
    /// A field of one event is wrong.
    #[error("{field} {problem}")]
    Invalid {
        /// Which event of the batch, from 0.
        index: usize,
        /// The field, as the contract spells it.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The event's type is the server's own.
    #[error("type {:?} is reserved for the server", event_type.as_str())]
    Reserved {
        /// Which event of the batch, from 0.
        index: usize,
        /// Its type.
        event_type: EventType,
    },
    /// The event's id was used within 24 h for other content.
    #[error("id {id} was used before with other content")]
    IdConflict {
        /// Which event of the batch, from 0.
        index: usize,
        /// The id.
        id: EventId,
    },
    /// The chat session to be started is live and belongs to another tenant.
    #[error("session_id {key} is in use")]
    SessionTaken {
        /// Which event of the batch, from 0.
        index: usize,
        /// The key.
        key: SessionKey,
    },
    /// A typed payload cannot be printed.
    #[error(transparent)]
    Payload(#[from] InvalidPayload),
    /// Too much is waiting for the store already.
    #[error("too many events wait for the store")]
    StoreBusy,
    /// No room in the hub, or it is shutting down.
    #[error(transparent)]
    Hub(HubError),
    /// A chat session could not be started or ended.
    #[error("event {index} cannot be accepted now")]
    Session {
        /// Which event of the batch, from 0.
        index: usize,
        /// Why.
        #[source]
        source: SessionError,
    },
    /// Nobody can tell whether the user is connected.
    #[error("presence is not known now")]
    Presence(#[from] PresenceError),
    /// Messages for absent users could not be kept.
    #[error("messages for absent users cannot be kept now")]
    Offline(#[from] OfflineError),
    /// Ids or deliveries could not be kept.
    #[error("deliveries cannot be kept now")]
    Ledger(#[from] LedgerError),
    /// A batch with more deliveries than go into one transaction was stopped in the middle: the first events are
    /// accepted, each as a whole, and the others not at all. The same batch again does the rest; an event
    /// of the first ones that has no chosen id is then another event.
    #[error("the first {n_stored} of {n_events} events were accepted and the others not")]
    Partly {
        /// How many, from the first.
        n_stored: usize,
        /// Of how many.
        n_events: usize,
        /// What went wrong with the next one.
        #[source]
        source: Box<AcceptError>,
    },
    /// The node is shutting down.
    #[error("the node is shutting down")]
    Stopping,
    /// A bug of ours; the log knows more.
    #[error("internal error")]
    Internal,
}

impl AcceptError {
    pub(crate) fn invalid(index: usize, field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { index, field, problem: problem.into() }
    }

    pub(crate) fn session(index: usize, key: &SessionKey, source: SessionError) -> Self {
        match source {
            SessionError::Taken => Self::SessionTaken { index, key: key.clone() },
            source => Self::Session { index, source },
        }
    }

    /// Which event of the batch is to blame, from 0; `None` when none is.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::Invalid { index, .. }
            | Self::Reserved { index, .. }
            | Self::IdConflict { index, .. }
            | Self::SessionTaken { index, .. }
            | Self::Session { index, .. } => Some(*index),
            Self::Partly { source, .. } => source.index(),
            _ => None,
        }
    }

    /// Which field of the event is to blame, as the contract spells it.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::BatchSize { .. } => Some("events"),
            Self::Invalid { field, .. } => Some(field),
            Self::Reserved { .. } => Some("type"),
            Self::IdConflict { .. } => Some("id"),
            Self::SessionTaken { .. } => Some("session_id"),
            Self::Payload(_) => Some("payload"),
            Self::Partly { source, .. } => source.field(),
            _ => None,
        }
    }

    /// The code told to clients.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::BatchSize { .. } | Self::Invalid { .. } | Self::Payload(_) => ErrorCode::InvalidField,
            Self::Reserved { .. } => ErrorCode::ReservedType,
            Self::IdConflict { .. } | Self::SessionTaken { .. } => ErrorCode::Conflict,
            Self::StoreBusy => ErrorCode::Overloaded,
            Self::Hub(source) => source.code(),
            Self::Session { source, .. } => source.code(),
            Self::Ledger(LedgerError::TooLarge { .. }) => ErrorCode::TooLarge,
            Self::Presence(_) | Self::Offline(_) | Self::Ledger(_) => ErrorCode::StorageUnavailable,
            Self::Partly { source, .. } => source.code(),
            Self::Stopping => ErrorCode::Draining,
            Self::Internal => ErrorCode::Internal,
        }
    }

    /// Whether the same call is worth making again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::StoreBusy | Self::Stopping => Retry::After(Duration::from_secs(1)),
            Self::Hub(source) => source.retry(),
            Self::Session { source, .. } => source.retry(),
            Self::Presence(source) => source.retry(),
            Self::Offline(source) => source.retry(),
            Self::Ledger(source) => source.retry(),
            Self::Partly { source, .. } => source.retry(),
            _ => Retry::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_learns_where_what_and_whether_again() {
        let error = AcceptError::invalid(3, "user_id", "must not be 0");
        assert_eq!((error.index(), error.field()), (Some(3), Some("user_id")));
        assert_eq!((error.code(), error.retry()), (ErrorCode::InvalidField, Retry::Never));
        assert_eq!(error.to_string(), "user_id must not be 0");
        assert_eq!(AcceptError::StoreBusy.code(), ErrorCode::Overloaded);
        assert_ne!(AcceptError::StoreBusy.retry(), Retry::Never);
    }
}
