//! A transport whose socket does what the test says: take everything, take a little, die.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookswitch_hub::{ConnectionHandle, Flushed, Outbox, Transport};
use hookswitch_testkit::PATIENCE;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::form;

/// Something to do on the shard's thread.
pub(crate) type Act = Box<dyn FnOnce(&ConnectionHandle) + Send>;

/// What the far end has and how it behaves.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "switches that tests set one by one, and what they look at")]
pub(crate) struct Wire {
    pub(crate) bytes: Vec<u8>,
    /// Bytes it still takes; `None` for any number.
    pub(crate) room: Option<usize>,
    /// The next write finds it dead.
    pub(crate) is_dead: bool,
    /// The transport was told that it takes no more.
    pub(crate) is_blocked: bool,
    /// After the next write the shard stands still until the sender is dropped.
    pub(crate) gate: Option<std::sync::mpsc::Receiver<()>>,
    /// The next write panics.
    pub(crate) panics_on_write: bool,
    /// Being dropped panics.
    pub(crate) panics_on_drop: bool,
    /// Answers every ping.
    pub(crate) answers_pings: bool,
    /// Has a command answered after everything it gets.
    pub(crate) keeps_asking: bool,
    /// A close frame went out and the hub let go.
    pub(crate) is_finished: bool,
    /// The hub dropped the transport.
    pub(crate) is_dropped: bool,
    pub(crate) n_flushes: usize,
    /// Which flush of all connections was the last that wrote something here.
    pub(crate) flushed_at: usize,
}

/// What both ends share.
#[derive(Debug, Default)]
pub(crate) struct FarEnd {
    wire: Mutex<Wire>,
    /// Told whenever the hub did something to the transport.
    pub(crate) changed: Notify,
    /// The same for the reader.
    written: Notify,
}

impl FarEnd {
    pub(crate) fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct Scripted {
    far_end: Arc<FarEnd>,
    flushes: Arc<AtomicUsize>,
    reader: JoinHandle<()>,
}

pub(crate) struct Ticket {
    pub(crate) far_end: Arc<FarEnd>,
    pub(crate) acts: mpsc::Receiver<Act>,
    pub(crate) flushes: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn open(ticket: Ticket, handle: &ConnectionHandle) -> io::Result<Rc<dyn Transport>> {
        if ticket.far_end.wire().is_dead {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let reader = handle.spawn(read(Arc::clone(&ticket.far_end), ticket.acts, handle.clone()));
        Ok(Rc::new(Self { far_end: ticket.far_end, flushes: ticket.flushes, reader }))
    }
}

impl Transport for Scripted {
    fn flush(&self, outbox: &mut Outbox) -> Flushed {
        let (flushed, gate) = {
            let mut wire = self.far_end.wire();
            (wire.write(outbox, &self.flushes), wire.gate.take())
        };
        self.far_end.changed.notify_waiters();
        self.far_end.written.notify_one();
        if let Some(gate) = gate {
            _ = gate.recv_timeout(PATIENCE);
        }
        flushed
    }

    fn finish(&self) {
        self.far_end.wire().is_finished = true;
    }
}

/// Answers a ping as a client does: the hub hears of it, and that what it asked about has arrived.
pub(crate) fn answer(handle: &ConnectionHandle, ping: &[u8]) {
    match form::receipt(ping) {
        Some(number) => handle.received(number),
        None => handle.heard(),
    }
}

/// What the far end does by itself, and what the test has it do.
async fn read(far_end: Arc<FarEnd>, mut acts: mpsc::Receiver<Act>, handle: ConnectionHandle) {
    let mut n_seen = 0;
    loop {
        tokio::select! {
            act = acts.recv() => match act {
                Some(act) => act(&handle),
                None => std::future::pending().await,
            },
            () = far_end.written.notified() => {}
        }
        let (pings, keeps_asking) = far_end.wire().react(&mut n_seen);
        for ping in pings {
            answer(&handle, &ping);
        }
        if keeps_asking {
            handle.send(br#"{"type":"pong","payload":{"text":"asked"}}"#);
        }
    }
}

impl Wire {
    /// Pings to answer among what came since last time, and whether to ask again.
    fn react(&mut self, n_seen: &mut usize) -> (Vec<Vec<u8>>, bool) {
        let mut pings = Vec::new();
        let n_before = *n_seen;
        while let Some((kind, content, n_frame)) = form::next(&self.bytes[*n_seen..]) {
            if kind == form::PING && self.answers_pings {
                pings.push(content.to_vec());
            }
            *n_seen += n_frame;
        }
        (pings, self.keeps_asking && *n_seen > n_before)
    }

    fn write(&mut self, outbox: &mut Outbox, flushes: &AtomicUsize) -> Flushed {
        assert!(!self.panics_on_write, "the test wants this write to panic");
        if self.is_dead {
            return Flushed::Gone;
        }
        self.n_flushes += 1;
        self.flushed_at = flushes.fetch_add(1, Ordering::Relaxed);
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let n_filled = outbox.fill(&mut slices);
            let bytes: Vec<u8> = slices[..n_filled].iter().flat_map(|slice| slice.iter().copied()).collect();
            let n_taken = self.room.unwrap_or(usize::MAX).min(bytes.len());
            if n_taken == 0 {
                self.is_blocked = true;
                return Flushed::Blocked;
            }
            self.bytes.extend_from_slice(&bytes[..n_taken]);
            self.room = self.room.map(|room| room - n_taken);
            outbox.advance(n_taken);
        }
        Flushed::Drained
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.reader.abort();
        let panics = {
            let mut wire = self.far_end.wire();
            wire.is_dropped = true;
            wire.panics_on_drop
        };
        self.far_end.changed.notify_waiters();
        assert!(!panics, "the test wants this drop to panic");
    }
}
