//! A connection without a socket: messages go to a channel in the same process.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hookswitch_protocol::{CloseCode, Position, Timestamp};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use crate::publish::wire_form::{Message, WireForm};
use crate::shard::connection_handle::ConnectionHandle;
use crate::shard::outbox::Outbox;
use crate::shard::transport::{Flushed, Transport};

/// The writing end of a connection inside the process.
#[derive(Debug)]
pub struct MemoryTransport {
    to: mpsc::Sender<Bytes>,
    handle: ConnectionHandle,
    /// Waits for the reading end to go away.
    watcher: JoinHandle<()>,
    /// Waits for room, after a write was refused.
    waiter: RefCell<Option<JoinHandle<()>>>,
}

/// The reading end: the messages of one connection, in order.
#[derive(Debug)]
pub struct Inbox {
    from: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

/// Each message behind its length, in four bytes.
#[derive(Debug)]
struct LengthPrefixed;

/// Stands in place of a length where no message follows.
const NO_MESSAGE: [u8; 4] = [u8::MAX; 4];

impl MemoryTransport {
    /// The form in which it reads: what [`crate::Admission::attach`] asks for.
    pub const FORM: &dyn WireForm = &LengthPrefixed;

    /// What opens a [`crate::PendingConnection`], and the inbox that belongs to it. `capacity` is in
    /// writes; beyond it the connection counts as one that does not read.
    pub fn pair(
        capacity: usize,
    ) -> (impl FnOnce(ConnectionHandle) -> io::Result<Rc<dyn Transport>> + Send + use<>, Inbox) {
        let (to, from) = mpsc::channel(capacity);
        let open = move |handle| Ok(Rc::new(Self::open(to, handle)) as Rc<dyn Transport>);
        (open, Inbox { from, rest: Bytes::new() })
    }

    fn open(to: mpsc::Sender<Bytes>, handle: ConnectionHandle) -> Self {
        let (watched, reader) = (to.clone(), handle.clone());
        let watcher = handle.spawn(async move {
            watched.closed().await;
            reader.gone();
        });
        Self { to, handle, watcher, waiter: RefCell::default() }
    }

    fn wait_for_room(&self) {
        let (to, handle) = (self.to.clone(), self.handle.clone());
        let waiter = self.handle.spawn(async move {
            if to.reserve().await.is_ok() {
                handle.writable();
            }
        });
        *self.waiter.borrow_mut() = Some(waiter);
    }
}

impl Inbox {
    /// The next message's text; `None` when the connection was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if self.rest.is_empty() {
                self.rest = self.from.recv().await?;
            }
            let n_bytes = self.rest.get_u32();
            if n_bytes != u32::from_be_bytes(NO_MESSAGE) {
                let message = self.rest.split_to(n_bytes as usize);
                return Some(String::from_utf8_lossy(&message).into_owned());
            }
        }
    }
}

impl WireForm for LengthPrefixed {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn message(&self, message: Message<'_>, out: &mut BytesMut) {
        out.put_u32(message.n_bytes() as u32);
        message.parts().into_iter().for_each(|part| out.put_slice(part));
    }

    fn close(&self, _code: CloseCode, _now: Timestamp) -> Bytes {
        self.ping(None)
    }

    fn ping(&self, _served: Option<Position>) -> Bytes {
        Bytes::from_static(&NO_MESSAGE)
    }

    fn receipt_request(&self, _number: u64) -> Option<Bytes> {
        None
    }
}

impl Transport for MemoryTransport {
    fn flush(&self, outbox: &mut Outbox) -> Flushed {
        while !outbox.is_empty() {
            let mut slice = [IoSlice::new(&[])];
            outbox.fill(&mut slice);
            let n_bytes = slice[0].len();
            match self.to.try_send(Bytes::copy_from_slice(&slice[0])) {
                Ok(()) => outbox.advance(n_bytes),
                Err(TrySendError::Closed(_)) => return Flushed::Gone,
                Err(TrySendError::Full(_)) => {
                    self.wait_for_room();
                    return Flushed::Blocked;
                }
            }
        }
        Flushed::Drained
    }
}

impl Drop for MemoryTransport {
    /// The tasks hold senders too; without them the reading end hears that it is over.
    fn drop(&mut self) {
        self.watcher.abort();
        if let Some(waiter) = self.waiter.take() {
            waiter.abort();
        }
    }
}
