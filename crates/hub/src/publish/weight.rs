//! What an event takes while it waits or is kept.

use hookswitch_protocol::Event;

/// What an envelope holds around its payload, at most.
const ENVELOPE_BYTES: usize = 512;

/// What an event weighs in bytes, without printing it.
pub(crate) fn weight(event: &Event) -> usize {
    event.payload.as_str().len() + ENVELOPE_BYTES
}
