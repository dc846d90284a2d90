//! One attempt to make.

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventType, Timestamp};

use crate::seams::directory::Webhook;

/// One attempt to make.
#[derive(Debug)]
pub(crate) struct AttemptRequest<'a> {
    pub(crate) webhook: &'a Webhook,
    pub(crate) delivery: &'a DeliveryId,
    pub(crate) event_type: &'a EventType,
    pub(crate) attempt: u32,
    pub(crate) body: Bytes,
    pub(crate) now: Timestamp,
}
