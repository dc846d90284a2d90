//! The reading task of one event stream: the client has nothing more to say, so it waits for its end, for room after a
//! block, for what was written to arrive, and for the writing end to finish.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hookswitch_hub::ConnectionHandle;
use tokio::time::{Instant, Sleep};

use crate::transports::tcp::{Socket, WriterState};

/// What a client may send after its request; one that sends more is not listening.
const INPUT_BYTES: usize = 64 * 1024;
const BUFFER_BYTES: usize = 512;

/// How soon it is looked whether kept messages have arrived, and then in twice the time, up to the longest.
const ARRIVAL_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(200);

/// Reads one stream's socket until its end.
pub(super) struct Reader {
    socket: Rc<Socket>,
    handle: ConnectionHandle,
    n_bytes_left: usize,
    linger: Option<Pin<Box<Sleep>>>,
    /// When it is looked next whether everything has arrived, and after how long.
    look: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl Reader {
    pub(super) fn new(socket: Rc<Socket>, handle: ConnectionHandle) -> Self {
        Self { socket, handle, n_bytes_left: INPUT_BYTES, linger: None, look: None }
    }

    /// Throws away what comes in; ready when the client has ended, or has said too much.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [0; BUFFER_BYTES];
        loop {
            if std::task::ready!(self.socket.poll_readable(cx)).is_err() {
                return Poll::Ready(());
            }
            match self.socket.try_read(&mut buffer) {
                Ok(n_read @ 1..) => match self.n_bytes_left.checked_sub(n_read) {
                    Some(n_left) => self.n_bytes_left = n_left,
                    None => return Poll::Ready(()),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Tells the hub when everything has arrived, where that is waited for.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) {
        while self.socket.awaits_arrival() {
            let (look, after) =
                self.look.get_or_insert_with(|| (Box::pin(tokio::time::sleep(ARRIVAL_LOOK)), ARRIVAL_LOOK));
            if look.as_mut().poll(cx).is_pending() {
                return;
            }
            if self.socket.check_arrival() {
                self.look = None;
                self.handle.arrived();
            } else {
                *after = (*after * 2).min(LONGEST_LOOK);
                let next = Instant::now() + *after;
                look.as_mut().reset(next);
            }
        }
    }

    /// After the last byte is out: whether the client has had its time to end.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { socket, linger, .. } = self;
        let linger = linger.get_or_insert_with(|| {
            socket.end_writing();
            Box::pin(tokio::time::sleep(socket.context.linger))
        });
        linger.as_mut().poll(cx)
    }
}

impl Future for Reader {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.remember_reader(cx);
        let is_over = self.socket.poll_writer(&self.handle, cx).is_err()
            || match self.socket.writer() {
                WriterState::Abandoned => true,
                WriterState::Finished => self.poll_linger(cx).is_ready(),
                WriterState::Open | WriterState::Blocked => false,
            };
        if !is_over {
            self.poll_arrival(cx);
            std::task::ready!(self.poll_end(cx));
        }
        self.handle.gone();
        Poll::Ready(())
    }
}

impl Drop for Reader {
    /// A panic in here concerns this connection only, and must end it: nobody would hear of its end any more.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.handle.gone();
        }
    }
}
