//! What a connection's reader holds: a line to its shard, on the same thread.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use hookswitch_protocol::{CloseCode, ConnectionId, SubscriptionName};

use crate::frame;
use crate::outlet::Outlet;
use crate::shard::{Key, Shard};

/// The reader's way to its shard. Lives on the shard's thread; every call takes effect at once and
/// none waits. Calls on a connection that is gone do nothing.
pub struct Line<O: Outlet> {
    shard: Rc<RefCell<Shard<O>>>,
    key: Key,
}

/// A subscription would hold more names than allowed; it stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a connection may subscribe to at most {limit} names, this would make {n_names}")]
pub struct TooManyNames {
    /// How many it would have been.
    pub n_names: usize,
    /// How many are allowed.
    pub limit: usize,
}

impl<O: Outlet> Line<O> {
    pub(crate) fn new(shard: Rc<RefCell<Shard<O>>>, key: Key) -> Self {
        Self { shard, key }
    }

    /// The connection's id.
    pub fn id(&self) -> ConnectionId {
        self.key.id
    }

    /// Something was heard from the client.
    pub fn heard(&self) {
        self.shard.borrow_mut().heard(self.key);
    }

    /// The client answered a ping; its payload may confirm a page of offline messages.
    pub fn pong(&self, payload: &[u8]) {
        self.shard.borrow_mut().pong(self.key, payload);
    }

    /// The socket has room again.
    pub fn writable(&self) {
        self.shard.borrow_mut().writable(self.key);
    }

    /// Queues one text message to this client, such as a pong or an error. Bounded like events.
    pub fn send(&self, message: &[u8]) {
        self.shard.borrow_mut().send(self.key, &frame::text_frame(message));
    }

    /// Queues a ready control frame behind the frames in progress.
    pub fn send_control(&self, frame: Bytes) {
        self.shard.borrow_mut().send_urgent(self.key, frame);
    }

    /// Adds names to the subscription. A visitor's narrows what it gets, it never widens it.
    ///
    /// # Errors
    /// [`TooManyNames`]; the subscription stays as it was.
    pub fn subscribe(&self, names: &[SubscriptionName]) -> Result<(), TooManyNames> {
        self.shard.borrow_mut().subscribe(self.key, names)
    }

    /// Takes names away; does nothing without a subscription.
    pub fn unsubscribe(&self, names: &[SubscriptionName]) {
        self.shard.borrow_mut().unsubscribe(self.key, names);
    }

    /// Queues a close behind everything waiting; when it is out, the outlet is finished.
    pub fn close(&self, code: CloseCode) {
        self.shard.borrow_mut().close(self.key, code);
    }

    /// The client closed: queues `reply`, its ready close frame, and then ends like [`Line::close`].
    pub fn close_with(&self, reply: &Bytes) {
        self.shard.borrow_mut().close_with(self.key, CloseCode::Normal, reply);
    }

    /// Starts a task on the shard's thread that belongs to this connection, such as its reader. It
    /// is not ended with the connection: it must notice, or be aborted, by itself.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) -> tokio::task::JoinHandle<()> {
        tokio::task::spawn_local(task)
    }

    /// The socket ended.
    pub fn gone(&self) {
        self.shard.borrow_mut().detach(self.key);
    }
}

impl<O: Outlet> Clone for Line<O> {
    fn clone(&self) -> Self {
        Self { shard: Rc::clone(&self.shard), key: self.key }
    }
}

impl<O: Outlet> fmt::Debug for Line<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("id", &self.key.id).finish_non_exhaustive()
    }
}
