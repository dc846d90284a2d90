//! The way in for connections: attach first, then open.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_protocol::ConnectionId;
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
    /// Connections go to the shards in turn, so that a tenant's are spread over all of them.
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
        let counted = Counted::new(&parts.shared, &who);
        parts.roster.watch(&who.tenant).await?;
        if let Some(user) = who.user_key() {
            parts.roster.present(&user).await?;
        }
        let shard = parts.next.fetch_add(1, Ordering::Relaxed) % parts.shards.len();
        let (reply, key) = oneshot::channel();
        // From here on the shard counts it out again, whatever happens.
        let permit = parts.shards[shard].reserve().await.map_err(|_| HubError::Draining)?;
        permit.send(Request::Attach { who: who.clone(), reply });
        counted.hand_over();
        let key = key.await.map_err(|_| HubError::Draining)?;
        Ok(Berth { door: self.clone(), shard, key, who, is_open: false })
    }
}

/// A count in the census that is taken back when attaching fails or is cancelled.
struct Counted<'a> {
    shared: &'a Shared,
    who: Option<&'a Attachment>,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, who: &'a Attachment) -> Self {
        shared.census.add(&who.tenant, &who.occupant);
        Self { shared, who: Some(who) }
    }

    fn hand_over(mut self) {
        self.who = None;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let Some(who) = self.who else { return };
        self.shared.census.remove(&who.tenant, &who.occupant);
        if let Some(user) = who.user_key() {
            self.shared.departures.user(user);
        }
        self.shared.departures.tenant(who.tenant.clone());
    }
}

/// A connection that is in the tables and waits for its socket. Dropped unopened, it is detached.
#[must_use = "a berth that is dropped is given up"]
pub struct Berth<O: Outlet> {
    door: Door<O>,
    shard: usize,
    key: Key,
    who: Attachment,
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
                parts.couriers.serve(user);
            }
        }
    }
}

impl<O: Outlet> Drop for Berth<O> {
    fn drop(&mut self) {
        if !self.is_open {
            // A full mailbox is no loss: the shard's sweep drops what was never opened.
            let _swept = self.door.0.shards[self.shard].try_send(Request::Detach { key: self.key });
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
