//! Events on their way from a publisher to the shards.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hookswitch_protocol::ConnectionId;

use crate::history::place::Place;
use crate::publish::receipt::DeliveryReceipt;
use crate::publish::tenant_quota::QuotaPermit;
use crate::publish::wire_form::{FormId, Tail, WireForm, encode_message};
use crate::seams::broker::EncodedEvent;

/// One event on its way to the shards.
#[derive(Debug)]
pub(crate) struct PreparedEvent {
    pub(crate) event: EncodedEvent,
    /// The connection it came from, which does not get it back.
    pub(crate) except: Option<ConnectionId>,
    /// For an event of one user: tells the publisher whether the user was reached.
    pub(crate) receipt: Option<DeliveryReceipt>,
    /// What shards encoded for all of them together.
    encoded: Mutex<Vec<(FormId, Bytes)>>,
}

impl PreparedEvent {
    pub(crate) fn new(event: EncodedEvent, except: Option<ConnectionId>, receipt: Option<DeliveryReceipt>) -> Self {
        Self { event, except, receipt, encoded: Mutex::default() }
    }

    /// The event in this form, encoded by the first shard that asks. Locks, so it is for large ones, and for those that
    /// the form is slow to write.
    pub(crate) fn encoded_once(&self, tail: &Tail, id: FormId, form: &dyn WireForm) -> Bytes {
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = encoded.iter().find(|(known, _)| *known == id) {
            return bytes.clone();
        }
        let bytes = encode_message(form, tail.of(self.event.envelope()));
        encoded.push((id, bytes.clone()));
        bytes
    }
}

/// Events accepted together; a connection that reads loses none of them.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Tells the batches of one shard apart: later ones have higher numbers. Given on arrival.
    pub(crate) number: u64,
    pub(crate) events: Arc<[PreparedEvent]>,
    /// The place of the first, which the others follow; passing events have none.
    pub(crate) first: Option<Place>,
    /// How many of them were taken already.
    pub(crate) n_taken: usize,
    /// Room in the mailboxes, given back when the batch is through everywhere.
    pub(crate) _room: Arc<QuotaPermit>,
}
