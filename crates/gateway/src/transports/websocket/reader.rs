//! The reading task of one WebSocket.
//!
//! It waits for bytes, for room after a block, and for the writing end to finish; one small task per
//! connection does all three. While nothing comes in it owns no buffer: tungstenite's context is
//! made when bytes arrive and given back as soon as they end on a message's last byte.

mod effects;

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::ConnectionHandle;
use hookswitch_protocol::{CloseCode, CommandError, ErrorCode, limits};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};

use super::command_handler::CommandHandler;
use super::frame_scan::FrameScan;
use super::inflate::Inflater;
use super::pace::{CommandPace, NAMES_PER_UNIT, UNITS_PER_SECOND};
use super::renewal::Renewal;
use super::stream_adapter::StreamAdapter;
use super::typing::TypingRelay;
use super::wire_form::WebSocketForm;
use crate::transports::tcp::{Socket, WriterState};

/// Messages handled before the other connections of the shard get their turn.
const MESSAGES_PER_TURN: usize = 32;
/// Bytes read before the other connections of the shard get their turn.
const BYTES_PER_TURN: usize = 64 * 1024;
/// How long a client waits at least once it is among those of its tenant who have said too much.
const LEAST_WAIT: Duration = Duration::from_millis(10);
/// Size of the buffer into which the input of a closing connection is thrown.
const DISCARD_BYTES: usize = 2 * 1024;

/// Reads one WebSocket until its end.
pub(crate) struct Reader {
    socket: Rc<Socket>,
    handle: ConnectionHandle,
    commands: CommandHandler,
    leftover: Bytes,
    scan: FrameScan,
    /// Whether the client may compress its messages.
    compresses: bool,
    /// Only for a client that may, and only while bytes are under way.
    inflater: Option<Box<Inflater>>,
    websocket: Option<Box<WebSocketContext>>,
    /// The last turn ended early: go on without waiting for the socket.
    has_more: bool,
    typing: TypingRelay,
    renewal: Renewal,
    said: Said,
    pace: CommandPace,
    /// The client asked for too much: nothing is read meanwhile.
    pause: Option<Pin<Box<Sleep>>>,
    is_closing: bool,
    linger: Option<Pin<Box<Sleep>>>,
}

/// Whether the client has said anything that shows that it will not say where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Something,
}

/// How a turn of reading ended.
enum ReadOutcome {
    /// Everything that was there is read.
    Rested,
    /// There may be more; the others come first.
    Yield,
    /// There may be more, and it is not yet time for it.
    Pause(Instant),
    /// A close is queued; what still comes in is thrown away.
    Closing,
    /// The socket is dead, or the client is done with it.
    Ended,
}

impl Reader {
    pub(crate) fn new(
        socket: Rc<Socket>,
        handle: ConnectionHandle,
        commands: CommandHandler,
        leftover: Bytes,
        compresses: bool,
    ) -> Self {
        let scan = FrameScan::default();
        let has_more = !leftover.is_empty();
        Self {
            socket,
            handle,
            commands,
            leftover,
            scan,
            compresses,
            inflater: None,
            websocket: None,
            has_more,
            typing: TypingRelay::new(),
            renewal: Renewal::default(),
            said: Said::Nothing,
            pace: CommandPace::new(),
            pause: None,
            is_closing: false,
            linger: None,
        }
    }

    /// Reads and handles messages until nothing is there or the turn is over.
    fn read_messages(&mut self) -> ReadOutcome {
        if let Some(wait) = self.handle.charge(Duration::ZERO) {
            return self.slow_down(Instant::now() + wait + LEAST_WAIT);
        }
        let outcome = self.read_turn();
        // At once: what was said an hour ago is not to be waited for. Whether to wait is asked before the next turn.
        let _wait = self.handle.charge(self.pace.take_spent());
        outcome
    }

    fn read_turn(&mut self) -> ReadOutcome {
        let mut websocket = self.websocket.take().unwrap_or_else(|| self.new_websocket());
        if self.compresses {
            self.inflater.get_or_insert_default();
        }
        let mut budget = BYTES_PER_TURN;
        for _ in 0..MESSAGES_PER_TURN {
            let mut adapter = StreamAdapter {
                socket: &self.socket,
                handle: &self.handle,
                leftover: &mut self.leftover,
                scan: &mut self.scan,
                inflater: self.inflater.as_deref_mut(),
                budget: &mut budget,
            };
            let n_before = *adapter.budget;
            let read = websocket.read(&mut adapter);
            self.pace.bytes(n_before - budget);
            match read {
                Ok(message) => {
                    self.on_message(message);
                    if self.typing.is_running() || self.renewal.is_running() || self.pace.is_turn_over() {
                        break;
                    }
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    // Without a budget left, "would block" was ours and the socket may hold more.
                    if self.scan.is_at_rest() && self.inflater.as_ref().is_none_or(|inflater| inflater.is_empty()) {
                        self.inflater = None;
                    } else {
                        self.websocket = Some(websocket);
                    }
                    return if budget == 0 { self.end_turn() } else { ReadOutcome::Rested };
                }
                Err(error) => return self.on_read_error(&error),
            }
        }
        self.websocket = Some(websocket);
        self.end_turn()
    }

    /// More may be there: reads on when the others had their turn, or when the client's time has come.
    fn end_turn(&mut self) -> ReadOutcome {
        match self.pace.pause() {
            Some(until) => self.slow_down(until),
            None => ReadOutcome::Yield,
        }
    }

    /// Reads on later, because the client or its tenant asks for too much.
    fn slow_down(&mut self, until: Instant) -> ReadOutcome {
        self.socket.context.metrics.commands_slowed.inc();
        self.handle.unheard(until.saturating_duration_since(Instant::now()));
        self.tell_pace(|| {
            format!(
                "too much is asked for: what comes faster than {UNITS_PER_SECOND} commands a second, or than a hundred \
                 times that from all users of a tenant, or a quarter of it from all visitors, is read later (a KiB \
                 counts as one more, and so do {NAMES_PER_UNIT} names of a subscription)"
            )
        });
        ReadOutcome::Pause(until)
    }

    /// Tells the client, once in a while, that it is too fast.
    fn tell_pace(&mut self, message: impl FnOnce() -> String) {
        if self.pace.may_tell() {
            self.tell(Err(CommandError::new(ErrorCode::RateLimited, message())));
        }
    }

    fn new_websocket(&self) -> Box<WebSocketContext> {
        let config = WebSocketConfig::default()
            .read_buffer_size(self.socket.context.read_buffer_bytes)
            // Zero: each control frame reaches the adapter at once, and whole.
            .write_buffer_size(0)
            .max_message_size(Some(limits::CLIENT_MESSAGE_BYTES))
            .max_frame_size(Some(limits::CLIENT_MESSAGE_BYTES))
            .accept_unmasked_frames(false);
        Box::new(WebSocketContext::new(Role::Server, Some(config)))
    }

    fn on_message(&mut self, message: Message) {
        self.pace.message();
        let now = self.socket.context.clock.now();
        let effect = match message {
            Message::Text(text) => {
                let sessions = self.socket.context.hub.sessions();
                self.commands.on_text(text.as_str(), now, |name| sessions.named_known(self.commands.tenant(), name))
            }
            Message::Binary(_) => self.commands.on_binary(now),
            Message::Pong(payload) => return self.on_pong(&payload),
            // Answered by tungstenite through the adapter.
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        self.carry_out(effect);
    }

    fn on_pong(&self, payload: &[u8]) {
        match WebSocketForm::receipt(payload) {
            Some(number) => self.handle.received(number),
            None => self.handle.heard(),
        }
    }

    /// Tells the client of a command's failure.
    fn tell(&self, outcome: Result<(), CommandError>) {
        if let Err(error) = outcome {
            self.handle.send(&self.commands.error(&error, self.socket.context.clock.now()));
        }
    }

    /// Waits until a relayed indicator is through and a token is checked, and until the client may go on.
    fn poll_waits(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(outcome) = std::task::ready!(self.typing.poll(cx)) {
            self.tell(outcome);
        }
        if let Some(checked) = std::task::ready!(self.renewal.poll(cx)) {
            self.tell(checked.map(|expires_at| self.handle.renew(expires_at)));
        }
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// Queues the close that fits, or notes that there is nobody to close with.
    fn on_read_error(&mut self, error: &Error) -> ReadOutcome {
        let code = match error {
            Error::Capacity(_) => CloseCode::TooLarge,
            Error::Utf8(_) => CloseCode::InvalidUtf8,
            // The close's answer went through the adapter.
            Error::ConnectionClosed => return ReadOutcome::Closing,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return ReadOutcome::Ended,
            Error::Protocol(_) | Error::AttackAttempt => CloseCode::ProtocolError,
            // The adapter's word for a frame that breaks the protocol.
            Error::Io(error) if error.kind() == ErrorKind::InvalidData => CloseCode::ProtocolError,
            _ => return ReadOutcome::Ended,
        };
        self.handle.close(code);
        ReadOutcome::Closing
    }

    /// Throws away what a closing client still sends; whether it is done.
    fn discard(&mut self) -> ReadOutcome {
        let mut buffer = [0; DISCARD_BYTES];
        for _ in 0..MESSAGES_PER_TURN {
            match self.socket.try_read(&mut buffer) {
                Ok(0) => return ReadOutcome::Ended,
                Ok(n_read) => _ = self.scan.feed(&buffer[..n_read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ReadOutcome::Closing,
                Err(_) => return ReadOutcome::Ended,
            }
        }
        ReadOutcome::Yield
    }

    /// Handles what can be read now; ready when nothing will ever come again.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.poll_waits(cx));
            // What came with the upgrade request, and what tungstenite holds after an early end of a
            // turn, makes no socket readable.
            if !std::mem::take(&mut self.has_more) && std::task::ready!(self.socket.poll_readable(cx)).is_err() {
                return Poll::Ready(());
            }
            match if self.is_closing { self.discard() } else { self.read_messages() } {
                ReadOutcome::Rested => {}
                ReadOutcome::Ended => return Poll::Ready(()),
                ReadOutcome::Pause(until) => {
                    self.has_more = true;
                    self.pause = Some(Box::pin(sleep_until(until)));
                }
                ReadOutcome::Yield => {
                    self.has_more = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                ReadOutcome::Closing => {
                    self.start_closing();
                    if self.scan.has_closed() && self.socket.writer() == WriterState::Finished {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }

    /// From here on input is only looked at for the client's close.
    fn start_closing(&mut self) {
        self.is_closing = true;
        self.websocket = None;
        self.inflater = None;
        self.pause = None;
        self.scan.feed(&std::mem::take(&mut self.leftover));
    }

    /// After the last frame is out: whether the client has had its time to close.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.start_closing();
        if self.scan.has_closed() {
            return Poll::Ready(());
        }
        let time = self.socket.context.linger;
        self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(time))).as_mut().poll(cx)
    }

    fn poll_ends(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.remember_reader(cx);
        if self.socket.poll_writer(&self.handle, cx).is_err() {
            return Poll::Ready(());
        }
        match self.socket.writer() {
            WriterState::Abandoned => return Poll::Ready(()),
            WriterState::Finished if self.poll_linger(cx).is_ready() => return Poll::Ready(()),
            WriterState::Finished | WriterState::Open | WriterState::Blocked => {}
        }
        self.poll_read(cx)
    }
}

impl Drop for Reader {
    /// A panic in here concerns this connection only, and must end it: nobody would read it any more.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.handle.gone();
        }
    }
}

impl Future for Reader {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        std::task::ready!(self.poll_ends(cx));
        self.handle.gone();
        Poll::Ready(())
    }
}
