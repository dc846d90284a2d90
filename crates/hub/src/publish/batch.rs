//! Events on their way from a publisher to the shards.

use std::sync::Arc;

use bytes::Bytes;
use hookswitch_protocol::{ConnectionId, Event};
use tokio::sync::OwnedSemaphorePermit;

use crate::publish::receipt::DeliveryReceipt;
use crate::publish::tenant_quota::QuotaPermit;

/// One event on its way to the shards.
#[derive(Debug)]
pub(crate) struct PreparedEvent {
    pub(crate) event: Arc<Event>,
    /// The encoded frame, made once for all shards and connections.
    pub(crate) frame: Bytes,
    /// The connection it came from, which does not get it back.
    pub(crate) except: Option<ConnectionId>,
    /// For an event of one user: tells the publisher whether the user was reached.
    pub(crate) receipt: Option<DeliveryReceipt>,
}

/// Events accepted together; a connection that reads loses none of them.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Tells the batches of one shard apart: later ones have higher numbers. Given on arrival.
    pub(crate) number: u64,
    pub(crate) events: Arc<[PreparedEvent]>,
    /// How many of them were taken already.
    pub(crate) n_taken: usize,
    /// Room in this mailbox, given back when the batch is through, and in the tenant's share, given
    /// back when it is through everywhere.
    pub(crate) _rooms: (OwnedSemaphorePermit, Arc<QuotaPermit>),
}
