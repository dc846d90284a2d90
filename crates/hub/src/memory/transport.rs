//! A connection without a socket: frames go to a channel in the same process.

use std::io::{self, IoSlice};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use crate::frame;
use crate::shard::connection_handle::ConnectionHandle;
use crate::shard::outbox::Outbox;
use crate::shard::transport::{Flushed, Transport};

/// The writing end of a connection inside the process.
#[derive(Debug)]
pub struct MemoryTransport {
    to: mpsc::Sender<Bytes>,
    handle: ConnectionHandle<Self>,
    /// Waits for the reading end to go away.
    watcher: JoinHandle<()>,
    /// Waits for room, after a write was refused.
    waiter: Option<JoinHandle<()>>,
}

/// The reading end: the messages of one connection, in order.
#[derive(Debug)]
pub struct Inbox {
    from: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl MemoryTransport {
    /// A ticket for [`crate::PendingConnection::open`] and the inbox that belongs to it. `capacity` is in
    /// writes; beyond it the connection counts as one that does not read.
    pub fn pair(capacity: usize) -> (mpsc::Sender<Bytes>, Inbox) {
        let (to, from) = mpsc::channel(capacity);
        (to, Inbox { from, rest: Bytes::new() })
    }
}

impl Inbox {
    /// The next message's text; `None` when the connection was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if self.rest.is_empty() {
                self.rest = self.from.recv().await?;
            }
            let n_frame = frame::frame_length(&self.rest)?;
            let frame = self.rest.split_to(n_frame);
            if let Some(text) = frame::text_of(&frame) {
                return Some(String::from_utf8_lossy(text).into_owned());
            }
        }
    }
}

impl Transport for MemoryTransport {
    type Ticket = mpsc::Sender<Bytes>;

    const WRITE_IS_RECEIPT: bool = true;

    fn open(to: Self::Ticket, handle: ConnectionHandle<Self>) -> io::Result<Self> {
        let (watched, reader) = (to.clone(), handle.clone());
        let watcher = handle.spawn(async move {
            watched.closed().await;
            reader.gone();
        });
        Ok(Self { to, handle, watcher, waiter: None })
    }

    fn flush(&mut self, outbox: &mut Outbox) -> Flushed {
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

impl MemoryTransport {
    fn wait_for_room(&mut self) {
        let (to, handle) = (self.to.clone(), self.handle.clone());
        self.waiter = Some(self.handle.spawn(async move {
            if to.reserve().await.is_ok() {
                handle.writable();
            }
        }));
    }
}

impl Drop for MemoryTransport {
    /// The tasks hold senders too; without them the reading end hears that it is over.
    fn drop(&mut self) {
        self.watcher.abort();
        if let Some(waiter) = &self.waiter {
            waiter.abort();
        }
    }
}
