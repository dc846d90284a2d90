//! What a PBX that a node follows tells beside the domain facts.

use schemars::JsonSchema;
use serde::Serialize;

use crate::UserId;

/// A phone rings no longer, and nobody answered there.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RingEnded {
    /// Which call, the same through transfers.
    unique_id: String,
    /// Whose phone.
    agent_id: UserId,
    /// `no_answer`, `busy`, `declined`, `elsewhere` (somebody else answered), `cancelled` (the caller gave up or left) or
    /// `failed`.
    reason: String,
}

/// A call waits in a parking space.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Parked {
    /// Which call, the same through transfers.
    unique_id: String,
    /// Who parked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<UserId>,
    /// The number to dial to have it back.
    space: String,
}

/// Which source of events it is about.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Source {
    /// Its name.
    source: String,
}

const CALL: &str = "1729866000.17";

pub(super) fn ring_ended() -> RingEnded {
    RingEnded { unique_id: CALL.to_owned(), agent_id: UserId::from(456), reason: "no_answer".to_owned() }
}

pub(super) fn parked() -> Parked {
    Parked { unique_id: CALL.to_owned(), agent_id: Some(UserId::from(456)), space: "701".to_owned() }
}

pub(super) fn source() -> Source {
    Source { source: "pbx-1".to_owned() }
}
