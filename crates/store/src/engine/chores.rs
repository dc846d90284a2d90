//! What an open store does by itself: ending deliveries that must not be sent, and clearing away what is too old.
//!
//! Everything is done in steps that take a few milliseconds, each a transaction of its own.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_runtime::Scope;
use hookswitch_webhooks::{Attempted, DisableRule};
use tokio::time::Instant;

use super::endings::Endings;
use super::inner::Inner;
use super::owed::{REFUSED, has_bodies, without_bodies};
use super::queries::{chat, deliveries, finish, offline};
use super::writer::is_about_data;
use super::{Conn, owed};
use crate::error::Failure;
use crate::weight::{Caller, Weight};

/// How often messages and sessions that are too old are looked for; claims look for themselves.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(5);

/// How often it is tried to write what is owed to the log.
const OWED_INTERVAL: Duration = Duration::from_secs(1);

/// In every which round one of the webhooks is waited for.
const WAITING_ROUND: usize = 10;

/// How long a chore that failed rests.
const PAUSE: Duration = Duration::from_secs(1);

/// Begins the chores of a store, which end with the scope or with the last clone of the store.
pub(crate) fn share(inner: Inner, scope: &Scope) -> Arc<Inner> {
    let inner = Arc::new(inner);
    scope.spawn("store expiry", expire(Arc::downgrade(&inner), scope.clone()));
    let endings = Arc::clone(&inner.chores.endings);
    scope.spawn("store endings", end(Arc::downgrade(&inner), endings, scope.clone()));
    scope.spawn("store owed logs", write_owed_logs(Arc::downgrade(&inner), scope.clone()));
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

/// Writes what is owed while the store lives.
async fn write_owed_logs(store: Weak<Inner>, scope: Scope) {
    let mut n_rounds: usize = 0;
    loop {
        tokio::select! {
            () = scope.soft().cancelled() => break,
            () = tokio::time::sleep(OWED_INTERVAL) => {}
        }
        let Some(inner) = store.upgrade() else { return };
        // Nodes that settle lock a busy webhook's row by turns: whoever only looks may always find it locked.
        n_rounds += 1;
        let waits = n_rounds.is_multiple_of(WAITING_ROUND);
        let turn = (n_rounds / WAITING_ROUND) % inner.chores.owed.n_webhooks().max(1);
        inner.write_owed(waits.then_some(turn)).await;
    }
    let n_attempts = store.upgrade().map_or(0, |inner| inner.chores.owed.len());
    if n_attempts > 0 {
        tracing::error!(n_attempts, "attempts have no log row: their webhooks' rows were locked until the end");
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

    /// One round over all webhooks that have something owed. What fails waits behind the others.
    /// `waits`: for which webhook's row it waits in line, for a second.
    async fn write_owed(&self, waits: Option<usize>) {
        let owed = &self.chores.owed;
        for place in 0..owed.n_webhooks() {
            while let Some((webhook, attempts, rule)) = owed.first() {
                let n_attempts = attempts.len();
                let written = self.write_owed_step((webhook, waits == Some(place)), &attempts, rule).await;
                if !written.unwrap_or_else(|failure| {
                    let error: &dyn std::error::Error = &failure;
                    tracing::debug!(%webhook, error, "attempts that are owed to the log wait");
                    false
                }) {
                    owed.postpone(webhook);
                    break;
                }
                if n_attempts < owed::STEP {
                    break;
                }
            }
        }
    }

    /// A webhook's oldest owed attempts, together or, where the database refuses that, one by one.
    async fn write_owed_step(
        &self,
        (webhook, waits): (WebhookId, bool),
        attempts: &[Attempted],
        rule: DisableRule,
    ) -> Result<bool, Failure> {
        match self.log_owed((webhook, waits), attempts.to_vec(), rule).await {
            Err(failure) if is_about_data(&failure) => {}
            Ok(true) => {
                self.chores.owed.settled(webhook, attempts.len());
                return Ok(true);
            }
            other => return other,
        }
        for attempted in attempts {
            if !self.log_owed_one(webhook, attempted.clone(), rule).await? {
                return Ok(false);
            }
            self.chores.owed.settled(webhook, 1);
        }
        Ok(true)
    }

    /// One attempt: without its bodies where the database refuses those, and not at all where it refuses the row.
    async fn log_owed_one(
        &self,
        webhook: WebhookId,
        mut attempted: Attempted,
        rule: DisableRule,
    ) -> Result<bool, Failure> {
        loop {
            let failure = match self.log_owed((webhook, false), vec![attempted.clone()], rule).await {
                Err(failure) if is_about_data(&failure) => failure,
                other => return other,
            };
            let (attempt, error): (_, &dyn std::error::Error) = (attempted.row.attempt, &failure);
            if !has_bodies(&attempted) {
                tracing::error!(%webhook, attempt, error, "an attempt has no log row: the database refuses it");
                self.metrics.unlogged.inc();
                return Ok(true);
            }
            tracing::warn!(%webhook, attempt, error, "an attempt is logged without its bodies");
            attempted = without_bodies(&attempted, REFUSED);
        }
    }

    /// `false` while the webhook's row is locked.
    async fn log_owed(
        &self,
        (webhook, waits): (WebhookId, bool),
        attempts: Vec<Attempted>,
        rule: DisableRule,
    ) -> Result<bool, Failure> {
        let codec = Arc::clone(&self.codec);
        let turn = (Caller::Node, Weight::of_rows(attempts.len()));
        let work = move |conn: &mut _| finish::log_owed(conn, &codec, (webhook, waits), &attempts, rule);
        self.dispatch.call(turn, work).await
    }
}
