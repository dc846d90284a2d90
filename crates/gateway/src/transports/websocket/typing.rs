//! Typing indicators from clients: to the others of their session, to nobody's webhook or mailbox.
//!
//! One client's go to every agent of its tenant, so a few a second are all that one may cause: of those
//! that come faster the latest is relayed when its time has come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hookswitch_protocol::{
    CommandError, ConnectionId, ErrorCode, Event, EventType, NewEvent, Payload, SessionName, TenantId,
};
use tokio::time::Sleep;

use super::pace::{Bucket, TYPING_PER_SECOND};
use crate::transports::tcp::SocketContext;

const PER_INDICATOR: Duration = Duration::from_millis(1_000 / TYPING_PER_SECOND as u64);

/// What a client wants relayed.
#[derive(Debug)]
pub(super) struct Indicator {
    pub(super) context: Arc<SocketContext>,
    pub(super) tenant: TenantId,
    pub(super) sender: ConnectionId,
    /// Another node may have started it.
    pub(super) session: SessionName,
    pub(super) payload: Payload,
}

/// The indicators of one connection.
pub(super) struct TypingRelay {
    /// On its way; nothing is read meanwhile, so that commands keep their order.
    running: Option<Relay>,
    waiting: Option<Box<Waiting>>,
    bucket: Bucket,
}

type Relay = Pin<Box<dyn Future<Output = Result<(), CommandError>>>>;

/// The latest of those that came too fast.
struct Waiting {
    indicator: Indicator,
    due: Pin<Box<Sleep>>,
}

/// What became of an indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is on its way.
    Started,
    /// It waits for its time.
    Waits,
    /// The same, and the one that had waited is left out.
    Supersedes,
}

impl TypingRelay {
    pub(super) fn new() -> Self {
        Self { running: None, waiting: None, bucket: Bucket::new(Duration::from_secs(1)) }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn take(&mut self, indicator: Indicator) -> Taken {
        if let Some(waiting) = &mut self.waiting {
            waiting.indicator = indicator;
            return Taken::Supersedes;
        }
        if let Some(due) = self.bucket.short_until(PER_INDICATOR) {
            self.waiting = Some(Box::new(Waiting { indicator, due: Box::pin(tokio::time::sleep_until(due)) }));
            return Taken::Waits;
        }
        self.start(indicator);
        Taken::Started
    }

    fn start(&mut self, indicator: Indicator) {
        self.bucket.charge(PER_INDICATOR);
        self.running = Some(Box::pin(relay(indicator)));
    }

    /// Pending while one is on its way; then what became of it, or `None` when none was.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(), CommandError>>> {
        if self.running.is_none()
            && let Some(waiting) = &mut self.waiting
            && waiting.due.as_mut().poll(cx).is_ready()
            && let Some(waiting) = self.waiting.take()
        {
            self.start(waiting.indicator);
        }
        let Some(running) = &mut self.running else { return Poll::Ready(None) };
        let outcome = std::task::ready!(running.as_mut().poll(cx));
        self.running = None;
        Poll::Ready(Some(outcome))
    }
}

/// Relays one indicator to everyone who may see its session, except its sender.
async fn relay(indicator: Indicator) -> Result<(), CommandError> {
    let Indicator { context, tenant, sender, session, payload } = indicator;
    let now = context.clock.now();
    let sessions = context.hub.sessions();
    let unknown = || CommandError::new(ErrorCode::UnknownSession, "payload.session_id is no live chat session");
    let session = sessions.named(&tenant, &session).await.ok_or_else(unknown)?;
    sessions.seen(&session);
    let said = NewEvent::new(EventType::CHAT_TYPING, payload).in_session(session);
    let event = Arc::new(Event::new(tenant, said, now));
    context.hub.relay(event, Some(sender)).await.map_err(|error| CommandError::new(error.code(), error.to_string()))
}
