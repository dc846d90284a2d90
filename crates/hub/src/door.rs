//! The way in for connections: attach first, then open.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_protocol::{ConnectionId, TenantId};
use tokio::sync::{mpsc, oneshot};

use crate::attachment::Attachment;
use crate::courier::Couriers;
use crate::error::HubError;
use crate::outlet::Outlet;
use crate::roster::Roster;
use crate::shard::{Key, Request};
use crate::shared::Shared;

/// Takes connections in. Clones are the same door.
pub struct Door<O: Outlet>(Arc<DoorParts<O>>);

pub(crate) struct DoorParts<O: Outlet> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) shards: Arc<[mpsc::Sender<Request<O>>]>,
    pub(crate) couriers: Arc<Couriers<O>>,
    /// Connections go to the shards in turn, so that a large tenant's are spread over all of them.
    pub(crate) next: AtomicUsize,
}

impl<O: Outlet> Door<O> {
    pub(crate) fn new(parts: DoorParts<O>) -> Self {
        Self(Arc::new(parts))
    }

    /// Puts a connection into the tables. When this returns, every event published from now on is
    /// queued for it, and its user counts as present: only then may an upgrade be answered.
    ///
    /// Cancel safe: dropped midway, nothing stays.
    ///
    /// # Errors
    /// [`HubError::Draining`] while shutting down, and what broker and presence store say.
    pub async fn attach(&self, who: Attachment) -> Result<Berth<O>, HubError> {
        let parts = &self.0;
        if parts.shared.draining.is_cancelled() {
            return Err(HubError::Draining);
        }
        let counted = Counted::new(&parts.shared, &who.tenant);
        parts.roster.watch(&who.tenant).await?;
        let berth = self.berth(who, counted).await?;
        // After the tables, because whoever sees the user present sends instead of keeping.
        if let Some(user) = berth.who.user_key() {
            parts.roster.reconcile(&user).await?;
        }
        Ok(berth)
    }

    async fn berth(&self, who: Attachment, counted: Counted<'_>) -> Result<Berth<O>, HubError> {
        let parts = &self.0;
        let home = parts.shared.census.home(&who.tenant);
        let shard = home.unwrap_or_else(|| parts.next.fetch_add(1, Ordering::Relaxed)) % parts.shards.len();
        let permit = parts.shards[shard].reserve().await.map_err(|_| HubError::Draining)?;
        let holds_back = who.user_key().is_some_and(|user| parts.couriers.may_have(&user));
        let (reply, key) = oneshot::channel();
        permit.send(Request::Attach { who: who.clone(), holds_back, reply });
        // From here on the shard counts it out again, whatever happens.
        counted.hand_over();
        let mut reply = Reply { requests: &parts.shards[shard], key };
        let key = (&mut reply.key).await.map_err(|_| HubError::Draining)?;
        Ok(Berth { door: self.clone(), shard, key, who, holds_back, is_open: false })
    }
}

/// A shard's answer to an attach. Dropped with the answer in it, it takes the connection back.
struct Reply<'a, O: Outlet> {
    requests: &'a mpsc::Sender<Request<O>>,
    key: oneshot::Receiver<Key>,
}

impl<O: Outlet> Drop for Reply<'_, O> {
    fn drop(&mut self) {
        self.key.close();
        if let Ok(key) = self.key.try_recv() {
            detach_unopened(self.requests, key);
        }
    }
}

fn detach_unopened<O: Outlet>(requests: &mpsc::Sender<Request<O>>, key: Key) {
    // A full mailbox is no loss: the shard's sweep drops what was never opened.
    let _swept = requests.try_send(Request::Detach { key });
}

/// A count in the census that is taken back when attaching fails or is cancelled.
struct Counted<'a> {
    shared: &'a Shared,
    tenant: Option<TenantId>,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, tenant: &TenantId) -> Self {
        shared.census.add(tenant);
        Self { shared, tenant: Some(tenant.clone()) }
    }

    fn hand_over(mut self) {
        self.tenant = None;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(tenant) = self.tenant.take() {
            self.shared.census.remove(&tenant);
            self.shared.departures.tenant(tenant);
        }
    }
}

/// A connection that is in the tables and waits for its socket. Dropped unopened, it is detached.
#[must_use = "a berth that is dropped is given up"]
pub struct Berth<O: Outlet> {
    door: Door<O>,
    shard: usize,
    key: Key,
    who: Attachment,
    /// Whether events for its user are held back until a courier was there.
    holds_back: bool,
    is_open: bool,
}

impl<O: Outlet> Berth<O> {
    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.key.id
    }

    /// Hands over the socket; what has been queued goes out, and what the user missed before it.
    pub async fn open(mut self, ticket: O::Ticket) {
        let parts = &self.door.0;
        if parts.shards[self.shard].send(Request::Open { key: self.key, ticket }).await.is_ok() {
            self.is_open = true;
            if let Some(user) = self.who.user_key() {
                parts.couriers.greet(user, self.holds_back);
            }
        }
    }
}

impl<O: Outlet> Drop for Berth<O> {
    fn drop(&mut self) {
        if !self.is_open {
            detach_unopened(&self.door.0.shards[self.shard], self.key);
        }
    }
}

impl<O: Outlet> Clone for Door<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Outlet> fmt::Debug for Door<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("shards", &self.0.shards.len()).finish_non_exhaustive()
    }
}

impl<O: Outlet> fmt::Debug for Berth<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Berth").field("id", &self.key.id).finish_non_exhaustive()
    }
}
