//! The floors: minimal programs that do nothing but what fan-out cannot do without.
//!
//! One thread, one poll loop. A turn reads everything that has come, makes each event's frame once, and writes it to
//! every socket: [`Writes::Single`] with one write per frame and socket, [`Writes::Packed`] with everything that waits
//! for a socket in one write. No tokens, no tenants, no subscriptions, no limits.

mod peer;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use self::peer::{Input, Peer};

/// How frames reach a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    Single,
    Packed,
}

const LISTENER: Token = Token(usize::MAX - 1);
/// A floor nobody talks to any more was left behind by its orchestrator, and ends.
const ABANDONED: Duration = Duration::from_mins(1);

/// Serves on a free loopback port until it is killed or abandoned.
pub(crate) fn run(writes: Writes) -> Result<()> {
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).context("cannot listen")?;
    println!("listening on http://{}", listener.local_addr()?);
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut floor = Floor { writes, poll, listener, peers: Vec::new(), receivers: Vec::new(), batch: Batch::default() };
    let mut events = Events::with_capacity(1_024);
    let mut scratch = vec![0; 64 * 1_024];
    loop {
        match floor.poll.poll(&mut events, Some(ABANDONED)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled.context("cannot poll")?,
        }
        if events.is_empty() {
            return Ok(());
        }
        floor.turn(&events, &mut scratch)?;
    }
}

/// Frames made in this turn, back to back.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    frames: Vec<Range<usize>>,
}

struct Floor {
    writes: Writes,
    poll: Poll,
    listener: TcpListener,
    /// By token; `None` once gone.
    peers: Vec<Option<Peer>>,
    /// Tokens of upgraded peers.
    receivers: Vec<usize>,
    batch: Batch,
}

impl Floor {
    fn turn(&mut self, events: &Events, scratch: &mut [u8]) -> Result<()> {
        for event in events {
            match event.token() {
                LISTENER => self.accept()?,
                Token(number) => self.serve(number, scratch),
            }
        }
        if !self.batch.frames.is_empty() {
            self.fan_out();
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true)?;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut stream, Token(self.peers.len()), interest)?;
                    self.peers.push(Some(Peer::new(stream)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot accept"),
            }
        }
    }

    /// Reads a peer's input and answers it; its events go into the batch.
    fn serve(&mut self, number: usize, scratch: &mut [u8]) {
        let Some(Some(peer)) = self.peers.get_mut(number) else { return };
        let batch = &mut self.batch;
        let receivers = &mut self.receivers;
        let read = peer.read(scratch, |input| match input {
            Input::Upgraded => receivers.push(number),
            Input::Event(payload) => batch.push(payload),
        });
        if read.and_then(|()| peer.flush()).is_err() {
            self.forget(number);
        }
    }

    fn fan_out(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        match self.writes {
            Writes::Packed => self.write_to_all(&batch.bytes),
            Writes::Single => batch.frames.iter().for_each(|frame| self.write_to_all(&batch.bytes[frame.clone()])),
        }
        self.batch = batch;
        self.batch.bytes.clear();
        self.batch.frames.clear();
    }

    fn write_to_all(&mut self, bytes: &[u8]) {
        let mut gone = Vec::new();
        for number in &self.receivers {
            if let Some(peer) = &mut self.peers[*number]
                && peer.write(bytes).is_err()
            {
                gone.push(*number);
            }
        }
        for number in gone {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: usize) {
        self.peers[number] = None;
        self.receivers.retain(|receiver| *receiver != number);
    }
}

impl Batch {
    fn push(&mut self, payload: &[u8]) {
        let start = self.bytes.len();
        peer::push_event_frame(&mut self.bytes, payload);
        self.frames.push(start..self.bytes.len());
    }
}
