//! What an open store does by itself: ending deliveries that must not be sent, and clearing away what is too old.
//!
//! Everything is done in steps that take a few milliseconds, each a transaction of its own.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_runtime::Scope;
use tokio::time::Instant;

use super::endings::Endings;
use super::inner::Inner;
use super::queries::{chat, deliveries, offline};
use super::writer::KeptOpen;
use super::{Conn, owed_rows};
use crate::error::Failure;

/// How often messages and sessions that are too old are looked for; claims look for themselves.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(5);

/// How long a chore that failed rests.
const PAUSE: Duration = Duration::from_secs(1);

/// Begins the chores of a store, which end with the scope or with the last clone of the store. `open` keeps the
/// writers from closing until what is owed is written.
pub(crate) fn share(inner: Inner, open: KeptOpen, scope: &Scope) -> Arc<Inner> {
    let inner = Arc::new(inner);
    scope.spawn("store expiry", expire(Arc::downgrade(&inner), scope.clone()));
    let endings = Arc::clone(&inner.chores.endings);
    scope.spawn("store endings", end(Arc::downgrade(&inner), endings, scope.clone()));
    owed_rows::spawn(&inner, open, scope);
    inner
}

/// Ends what must not be sent while the store lives, one webhook after the other.
async fn end(store: Weak<Inner>, endings: Arc<Endings>, scope: Scope) {
    loop {
        let Some(webhook) = endings.take() else {
            tokio::select! {
                () = scope.soft().cancelled() => return,
                () = endings.arrived.notified() => continue,
            }
        };
        let Some(inner) = store.upgrade() else { return };
        let ended = inner.end_unsendable(webhook).await;
        drop(inner);
        if scope.soft().is_cancelled() {
            return;
        }
        if let Err(error) = ended {
            tracing::debug!(%webhook, error = &error as &dyn std::error::Error, "deliveries that must not be sent wait");
            // The next lease that meets some notes them again.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Clears away what is too old while the store lives.
async fn expire(store: Weak<Inner>, scope: Scope) {
    let mut ticks = tokio::time::interval_at(Instant::now() + EXPIRY_INTERVAL, EXPIRY_INTERVAL);
    loop {
        tokio::select! {
            () = scope.soft().cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.expire_offline().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "offline messages could not be expired");
        }
        if let Err(error) = store.forget_silent().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "silent chat sessions could not be forgotten");
        }
    }
}

impl Inner {
    /// Ends a webhook's deliveries that must not be sent, all of them.
    async fn end_unsendable(&self, webhook: WebhookId) -> Result<(), Failure> {
        loop {
            let now = self.clock.now();
            let step = move |conn: &mut Conn, limit| deliveries::end_unsendable(conn, webhook, now, limit);
            // As long as some come first: behind others they are met again when those are gone.
            if self.chore(&self.chores.ending, usize::MAX, step).await?.0 == 0 {
                return Ok(());
            }
        }
    }

    /// Drops messages that are older than the bound.
    pub(crate) async fn expire_offline(&self) -> Result<(), Failure> {
        loop {
            let now = self.clock.now();
            let oldest = now.before(self.offline.max_age);
            let step = move |conn: &mut Conn, limit| offline::expire(conn, oldest, now, limit);
            if !self.chore(&self.chores.expiring, usize::MAX, step).await?.1 {
                return Ok(());
            }
        }
    }

    /// Forgets chat sessions that were silent for too long, once it is known how long that is.
    pub(crate) async fn forget_silent(&self) -> Result<(), Failure> {
        let silence = *self.chores.chat_silence.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(silence) = silence else { return Ok(()) };
        self.forget_sessions(self.clock.now().before(silence)).await
    }

    /// Forgets chat sessions that were silent before that moment.
    pub(crate) async fn forget_sessions(&self, silent_before: Timestamp) -> Result<(), Failure> {
        loop {
            let step = move |conn: &mut Conn, limit| chat::forget_silent(conn, silent_before, limit);
            if !self.chore(&self.chores.expiring, usize::MAX, step).await?.1 {
                return Ok(());
            }
        }
    }
}
