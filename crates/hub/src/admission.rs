//! The way in for connections: attach first, then open.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookswitch_protocol::{ConnectionId, TenantId, limits};
use tokio::sync::{mpsc, oneshot};

use crate::attachment::{Attachment, Subject};
use crate::cluster::presence_sync::PresenceSync;
use crate::error::{HubError, TooManyNames};
use crate::offline_delivery::OfflineDelivery;
use crate::publish::wire_form::WireForm;
use crate::shard::SlotKey;
use crate::shard::connection_handle::ConnectionHandle;
use crate::shard::request::Request;
use crate::shard::transport::Transport;
use crate::shared::Shared;

/// Takes connections in. Clones are the same admission.
pub struct Admission(Arc<AdmissionParts>);

pub(crate) struct AdmissionParts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) presence_sync: Arc<PresenceSync>,
    pub(crate) shards: Arc<[mpsc::Sender<Request>]>,
    pub(crate) offline_delivery: Arc<OfflineDelivery>,
    /// Connections go to the shards in turn, so that a large tenant's are spread over all of them.
    pub(crate) next: AtomicUsize,
}

impl Admission {
    pub(crate) fn new(parts: AdmissionParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Puts a connection into the tables. When this returns, every event published from now on is
    /// queued for it, and its user counts as present: only then may an upgrade be answered.
    ///
    /// `form` is how its client reads. Cancel safe: dropped midway, nothing stays.
    ///
    /// # Errors
    /// [`HubError::Draining`] while shutting down, [`HubError::TooManyConnections`] at one of the caps,
    /// [`HubError::TooManyNames`], and what broker and presence store say.
    pub async fn attach(&self, who: Attachment, form: &'static dyn WireForm) -> Result<PendingConnection, HubError> {
        let parts = &self.0;
        if parts.shared.draining.is_cancelled() {
            return Err(HubError::Draining);
        }
        let n_names = who.subscription.as_ref().map_or(0, Vec::len);
        if n_names > limits::SUBSCRIPTION_NAMES {
            return Err(HubError::TooManyNames(TooManyNames { n_names, limit: limits::SUBSCRIPTION_NAMES }));
        }
        let counted = Counted::new(&parts.shared, &who)?;
        parts.presence_sync.watch(&who.tenant).await?;
        let pending = self.pending(who, form, counted).await?;
        // After the tables, because whoever sees the user present sends instead of keeping.
        if let Some(user) = pending.who.user_key() {
            parts.presence_sync.reconcile(&user, 0).await?;
        }
        Ok(pending)
    }

    async fn pending(
        &self,
        who: Attachment,
        form: &'static dyn WireForm,
        counted: Counted<'_>,
    ) -> Result<PendingConnection, HubError> {
        let parts = &self.0;
        let home = parts.shared.connection_counts.home(&who.tenant);
        let shard = home.unwrap_or_else(|| parts.next.fetch_add(1, Ordering::Relaxed)) % parts.shards.len();
        let permit = parts.shards[shard].reserve().await.map_err(|_| HubError::Draining)?;
        let holds_back = who.user_key().is_some_and(|user| parts.offline_delivery.may_have(&user));
        let (reply, key) = oneshot::channel();
        let form = parts.shared.forms.number(form);
        permit.send(Request::Attach { who: who.clone(), form, holds_back, reply });
        // From here on the shard counts it out again, whatever happens.
        counted.hand_over();
        let mut reply = Reply { requests: &parts.shards[shard], key };
        let key = (&mut reply.key).await.map_err(|_| HubError::Draining)?;
        Ok(PendingConnection { admission: self.clone(), shard, key, who, holds_back, is_open: false })
    }
}

/// A shard's answer to an attach. Dropped with the answer in it, it takes the connection back.
struct Reply<'a> {
    requests: &'a mpsc::Sender<Request>,
    key: oneshot::Receiver<SlotKey>,
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        self.key.close();
        if let Ok(key) = self.key.try_recv() {
            detach_unopened(self.requests, key);
        }
    }
}

fn detach_unopened(requests: &mpsc::Sender<Request>, key: SlotKey) {
    // A full mailbox is no loss: the shard's sweep drops what was never opened.
    let _swept = requests.try_send(Request::Detach { key });
}

/// A count of the connection that is taken back when attaching fails or is cancelled.
struct Counted<'a> {
    shared: &'a Shared,
    of: Option<(TenantId, Subject)>,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, who: &Attachment) -> Result<Self, HubError> {
        shared.connection_counts.add(who)?;
        Ok(Self { shared, of: Some((who.tenant.clone(), who.subject.clone())) })
    }

    fn hand_over(mut self) {
        self.of = None;
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some((tenant, subject)) = self.of.take() {
            self.shared.connection_counts.remove(&tenant, &subject);
            self.shared.disconnects.tenant(tenant);
        }
    }
}

/// A connection that is in the tables and waits for its socket. Dropped unopened, it is detached.
#[must_use = "a pending connection that is dropped is given up"]
pub struct PendingConnection {
    admission: Admission,
    shard: usize,
    key: SlotKey,
    who: Attachment,
    /// Whether events for its user are held back until a delivery task was there.
    holds_back: bool,
    is_open: bool,
}

impl PendingConnection {
    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.key.id
    }

    /// Has `open` make the transport, on the shard's thread, inside its local runtime, where it also starts
    /// whatever reads from the client; the handle must not be used before it returns. Then what has been
    /// queued goes out, and what the user missed before it. When `open` fails, the connection is detached.
    pub async fn open<F>(mut self, open: F)
    where
        F: FnOnce(ConnectionHandle) -> io::Result<Rc<dyn Transport>> + Send + 'static,
    {
        let parts = &self.admission.0;
        if parts.shards[self.shard].send(Request::Open { key: self.key, open: Box::new(open) }).await.is_ok() {
            self.is_open = true;
            if let Some(user) = self.who.user_key() {
                parts.offline_delivery.greet(user, self.holds_back).await;
            }
        }
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        if !self.is_open {
            detach_unopened(&self.admission.0.shards[self.shard], self.key);
        }
    }
}

impl Clone for Admission {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("shards", &self.0.shards.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PendingConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingConnection").field("id", &self.key.id).finish_non_exhaustive()
    }
}
