//! The way in for connections: attach first, then open.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_protocol::{ConnectionId, TenantId};
use tokio::sync::{mpsc, oneshot};

use crate::attachment::Attachment;
use crate::cluster::presence_sync::PresenceSync;
use crate::error::HubError;
use crate::offline_delivery::OfflineDelivery;
use crate::shard::transport::Transport;
use crate::shard::{Request, SlotKey};
use crate::shared::Shared;

/// Takes connections in. Clones are the same admission.
pub struct Admission<O: Transport>(Arc<AdmissionParts<O>>);

pub(crate) struct AdmissionParts<O: Transport> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) presence_sync: Arc<PresenceSync>,
    pub(crate) shards: Arc<[mpsc::Sender<Request<O>>]>,
    pub(crate) offline_delivery: Arc<OfflineDelivery<O>>,
    /// Connections go to the shards in turn, so that a large tenant's are spread over all of them.
    pub(crate) next: AtomicUsize,
}

impl<O: Transport> Admission<O> {
    pub(crate) fn new(parts: AdmissionParts<O>) -> Self {
        Self(Arc::new(parts))
    }

    /// Puts a connection into the tables. When this returns, every event published from now on is
    /// queued for it, and its user counts as present: only then may an upgrade be answered.
    ///
    /// Cancel safe: dropped midway, nothing stays.
    ///
    /// # Errors
    /// [`HubError::Draining`] while shutting down, and what broker and presence store say.
    pub async fn attach(&self, who: Attachment) -> Result<PendingConnection<O>, HubError> {
        let parts = &self.0;
        if parts.shared.draining.is_cancelled() {
            return Err(HubError::Draining);
        }
        let counted = Counted::new(&parts.shared, &who.tenant);
        parts.presence_sync.watch(&who.tenant).await?;
        let pending = self.pending(who, counted).await?;
        // After the tables, because whoever sees the user present sends instead of keeping.
        if let Some(user) = pending.who.user_key() {
            parts.presence_sync.reconcile(&user).await?;
        }
        Ok(pending)
    }

    async fn pending(&self, who: Attachment, counted: Counted<'_>) -> Result<PendingConnection<O>, HubError> {
        let parts = &self.0;
        let home = parts.shared.connection_counts.home(&who.tenant);
        let shard = home.unwrap_or_else(|| parts.next.fetch_add(1, Ordering::Relaxed)) % parts.shards.len();
        let permit = parts.shards[shard].reserve().await.map_err(|_| HubError::Draining)?;
        let holds_back = who.user_key().is_some_and(|user| parts.offline_delivery.may_have(&user));
        let (reply, key) = oneshot::channel();
        permit.send(Request::Attach { who: who.clone(), holds_back, reply });
        // From here on the shard counts it out again, whatever happens.
        counted.hand_over();
        let mut reply = Reply { requests: &parts.shards[shard], key };
        let key = (&mut reply.key).await.map_err(|_| HubError::Draining)?;
        Ok(PendingConnection { admission: self.clone(), shard, key, who, holds_back, is_open: false })
    }
}

/// A shard's answer to an attach. Dropped with the answer in it, it takes the connection back.
struct Reply<'a, O: Transport> {
    requests: &'a mpsc::Sender<Request<O>>,
    key: oneshot::Receiver<SlotKey>,
}

impl<O: Transport> Drop for Reply<'_, O> {
    fn drop(&mut self) {
        self.key.close();
        if let Ok(key) = self.key.try_recv() {
            detach_unopened(self.requests, key);
        }
    }
}

fn detach_unopened<O: Transport>(requests: &mpsc::Sender<Request<O>>, key: SlotKey) {
    // A full mailbox is no loss: the shard's sweep drops what was never opened.
    let _swept = requests.try_send(Request::Detach { key });
}

/// A count of the connection that is taken back when attaching fails or is cancelled.
struct Counted<'a> {
    shared: &'a Shared,
    tenant: Option<TenantId>,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, tenant: &TenantId) -> Self {
        shared.connection_counts.add(tenant);
        Self { shared, tenant: Some(tenant.clone()) }
    }

    fn hand_over(mut self) {
        self.tenant = None;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(tenant) = self.tenant.take() {
            self.shared.connection_counts.remove(&tenant);
            self.shared.departures.tenant(tenant);
        }
    }
}

/// A connection that is in the tables and waits for its socket. Dropped unopened, it is detached.
#[must_use = "a pending connection that is dropped is given up"]
pub struct PendingConnection<O: Transport> {
    admission: Admission<O>,
    shard: usize,
    key: SlotKey,
    who: Attachment,
    /// Whether events for its user are held back until a delivery task was there.
    holds_back: bool,
    is_open: bool,
}

impl<O: Transport> PendingConnection<O> {
    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.key.id
    }

    /// Hands over the socket; what has been queued goes out, and what the user missed before it.
    pub async fn open(mut self, ticket: O::Ticket) {
        let parts = &self.admission.0;
        if parts.shards[self.shard].send(Request::Open { key: self.key, ticket }).await.is_ok() {
            self.is_open = true;
            if let Some(user) = self.who.user_key() {
                parts.offline_delivery.greet(user, self.holds_back);
            }
        }
    }
}

impl<O: Transport> Drop for PendingConnection<O> {
    fn drop(&mut self) {
        if !self.is_open {
            detach_unopened(&self.admission.0.shards[self.shard], self.key);
        }
    }
}

impl<O: Transport> Clone for Admission<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Transport> fmt::Debug for Admission<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("shards", &self.0.shards.len()).finish_non_exhaustive()
    }
}

impl<O: Transport> fmt::Debug for PendingConnection<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingConnection").field("id", &self.key.id).finish_non_exhaustive()
    }
}
