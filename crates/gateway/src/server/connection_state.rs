//! What the task of an HTTP connection and the stream under it tell each other.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::net::TcpStream;

use crate::metrics::CUTS;
use crate::transports::event_stream::Upcoming;

/// Both ends are used by one task at a time, which orders what is said here; the atomics only make it shareable.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    relocated: AtomicBool,
    ending: AtomicBool,
    /// Requests begun so far.
    n_requests: AtomicU32,
    is_answering: AtomicBool,
    is_blocked: AtomicBool,
    lingers: AtomicBool,
    /// One more than the index into [`CUTS`].
    cut: AtomicU8,
    rest: Mutex<Option<TcpStream>>,
    has_stream: AtomicBool,
    stream: Mutex<Option<Upcoming>>,
}

/// Why the server ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    HeadTooLarge,
    NoHttp,
    HeadTooSlow,
    Idle,
    AnswerNotRead,
}

impl Cut {
    const ALL: [Self; CUTS.len()] =
        [Self::HeadTooLarge, Self::NoHttp, Self::HeadTooSlow, Self::Idle, Self::AnswerNotRead];

    /// The metric's label.
    pub(super) const fn as_str(self) -> &'static str {
        CUTS[self as usize]
    }
}

impl ConnectionState {
    /// The next read or write is on another runtime than the ones before.
    pub(super) fn announce_relocation(&self) {
        self.relocated.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_relocation(&self) -> bool {
        self.relocated.load(Ordering::Relaxed) && self.relocated.swap(false, Ordering::Relaxed)
    }

    /// The node ends: nobody is waited for as long as usual.
    pub(super) fn start_ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// A request's head is read.
    pub(super) fn begin_request(&self) {
        self.n_requests.fetch_add(1, Ordering::Relaxed);
        self.is_answering.store(true, Ordering::Relaxed);
    }

    /// Its answer is made; `lingers` where the client may still be sending and the connection ends with it.
    pub(super) fn end_request(&self, lingers: bool) {
        self.is_answering.store(false, Ordering::Relaxed);
        if lingers {
            self.linger();
        }
    }

    pub(super) fn n_requests(&self) -> u32 {
        self.n_requests.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    pub(super) fn is_answering(&self) -> bool {
        self.is_answering.load(Ordering::Relaxed)
    }

    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Whether an answer is being made, or waits for the client to read.
    pub(super) fn is_busy(&self) -> bool {
        self.is_answering() || self.is_blocked.load(Ordering::Relaxed)
    }

    /// The request is answered by a stream, to which the connection goes.
    pub(super) fn give_to(&self, stream: Upcoming) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        self.has_stream.store(true, Ordering::Relaxed);
    }

    /// The stream to which the connection goes, once everything that was said before is written.
    pub(super) fn take_stream(&self) -> Option<Upcoming> {
        if !self.has_stream.load(Ordering::Relaxed) || self.is_blocked.load(Ordering::Relaxed) {
            return None;
        }
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Closing at once would reset the connection, and the client might not see its answer.
    pub(super) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    pub(super) fn cut(&self, cut: Cut) {
        self.cut.store(cut as u8 + 1, Ordering::Relaxed);
    }

    /// Why the server ended the connection, where it did.
    pub(super) fn reason(&self) -> Option<Cut> {
        Cut::ALL.get(usize::from(self.cut.load(Ordering::Relaxed)).checked_sub(1)?).copied()
    }

    /// What is left of the stream when HTTP is done with it; kept where it is worth to linger.
    pub(super) fn give_rest(&self, stream: TcpStream) {
        if self.lingers.load(Ordering::Relaxed) {
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
        }
    }

    pub(super) fn take_rest(&self) -> Option<TcpStream> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
