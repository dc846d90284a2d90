//! What a connection's reader holds: a handle to its shard, on the same thread.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, ConnectionId, Position, SubscriptionName, Timestamp};

use crate::error::TooManyNames;
use crate::shard::{Shard, SlotKey};

/// The reader's way to its shard. Lives on the shard's thread; every call takes effect at once and
/// none waits. Calls on a connection that is gone do nothing.
pub struct ConnectionHandle {
    /// Weak, because transports hold handles and the shard holds transports: when the thread ends, all of
    /// them must go.
    shard: Weak<RefCell<Shard>>,
    key: SlotKey,
}

impl ConnectionHandle {
    pub(crate) fn new(shard: &Rc<RefCell<Shard>>, key: SlotKey) -> Self {
        Self { shard: Rc::downgrade(shard), key }
    }

    fn with_shard<T>(&self, act: impl FnOnce(&mut Shard, SlotKey) -> T) -> Option<T> {
        let shard = self.shard.upgrade()?;
        let mut entered = Entered(shard.borrow_mut());
        Some(act(&mut entered.0, self.key))
    }

    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.key.id
    }

    /// Something was heard from the client.
    pub fn heard(&self) {
        self.with_shard(Shard::heard);
    }

    /// The client answered [`WireForm::receipt_request`](crate::WireForm::receipt_request): what was sent
    /// before that has arrived.
    pub fn received(&self, number: u64) {
        self.with_shard(|shard, key| shard.received(key, number));
    }

    /// Everything that was written has arrived, which was not so when
    /// [`Transport::has_arrived`](crate::Transport::has_arrived) was asked last.
    pub fn arrived(&self) {
        self.with_shard(Shard::arrived);
    }

    /// Counts what the client said against its tenant's share of the shard's thread, in the time in which one
    /// client may say as much. Gives how long to wait before anything more is read, where the tenant's
    /// clients together have said too much and this one's subject, by all its connections, is among those who did.
    #[must_use = "who goes on reading takes others' share"]
    pub fn charge(&self, earned_in: Duration) -> Option<Duration> {
        self.with_shard(|shard, key| shard.charge(key, earned_in)).flatten()
    }

    /// Nothing will be read from the client for so long, by no fault of its own: its silence counts from then on.
    pub fn unheard(&self, wait: Duration) {
        self.with_shard(|shard, key| shard.unheard(key, wait));
    }

    /// The socket has room again.
    pub fn writable(&self) {
        self.with_shard(Shard::writable);
    }

    /// Queues one text message to this client, such as a pong or an error. As many answers may wait
    /// as events; beyond that they are dropped like events, and told like those.
    pub fn send(&self, message: &[u8]) {
        self.with_shard(|shard, key| shard.send_message(key, message));
    }

    /// Queues bytes of the transport's own, such as an answer to a ping, right behind what is being written.
    pub fn send_control(&self, bytes: Bytes) {
        self.with_shard(|shard, key| shard.send_urgent(key, bytes));
    }

    /// Adds names to the subscription. A visitor's narrows what it gets, it never widens it.
    ///
    /// # Errors
    /// [`TooManyNames`]; the subscription stays as it was.
    pub fn subscribe(&self, names: &[SubscriptionName]) -> Result<(), TooManyNames> {
        self.with_shard(|shard, key| shard.subscribe(key, names)).unwrap_or(Ok(()))
    }

    /// The client says where it was before, `None` being no position: what it missed comes, then the word that it has
    /// everything, then what is newer. Whether it still may: it must be its first command but for subscriptions.
    #[must_use = "a client that says it too late is to be told"]
    pub fn resume(&self, position: Option<Position>) -> bool {
        self.with_shard(|shard, key| shard.resume(key, position)).unwrap_or(true)
    }

    /// The client said something else than where it was; whether that was waited for.
    pub fn spoke(&self) -> bool {
        self.with_shard(Shard::spoke).unwrap_or(false)
    }

    /// The place up to which this connection was given everything that it may see, or its subscription left it out:
    /// true of an answer that is queued at once. `None` where events have no positions.
    pub fn served(&self) -> Option<Position> {
        self.with_shard(|shard, key| shard.served(key)).flatten()
    }

    /// Whether a client that does not read in time is given urgent events first, and of others the newest only; so it
    /// is until told otherwise.
    pub fn use_classes(&self, are_used: bool) {
        self.with_shard(|shard, key| shard.use_classes(key, are_used));
    }

    /// The client showed a token that ends then: its connection is closed with 4401 at that time, and not before.
    /// That it is the same user's, and sees what the connection sees, is for the caller to know.
    pub fn renew(&self, expires_at: Timestamp) {
        self.with_shard(|shard, key| shard.renew(key, expires_at));
    }

    /// Takes names away; does nothing without a subscription.
    pub fn unsubscribe(&self, names: &[SubscriptionName]) {
        self.with_shard(|shard, key| shard.unsubscribe(key, names));
    }

    /// Queues a close behind everything waiting; when it is out, the transport is finished.
    pub fn close(&self, code: CloseCode) {
        self.with_shard(|shard, key| shard.close(key, code));
    }

    /// The client closed: queues `reply`, which is ready, and then ends like [`ConnectionHandle::close`].
    pub fn close_with(&self, reply: &Bytes) {
        self.with_shard(|shard, key| shard.closed_by_client(key, reply));
    }

    /// Starts a task on the shard's thread that belongs to this connection, such as its reader. It
    /// is not ended with the connection: it must notice, or be aborted, by itself.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> tokio::task::JoinHandle<()> {
        tokio::task::spawn_local(task)
    }

    /// The socket ended.
    pub fn gone(&self) {
        self.with_shard(Shard::detach);
    }
}

/// A reader inside its shard. A reader's own panic ends one connection; one in here leaves tables
/// that everybody on the shard depends on in doubt, and must not pass for the former.
struct Entered<'a>(RefMut<'a, Shard>);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.report_crash();
        }
    }
}

impl Clone for ConnectionHandle {
    fn clone(&self) -> Self {
        Self { shard: Weak::clone(&self.shard), key: self.key }
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle").field("id", &self.key.id).finish_non_exhaustive()
    }
}
