//! Writing what is owed to the attempt log, and announcing whom that switches off.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hookswitch_protocol::WebhookId;
use hookswitch_runtime::Scope;
use hookswitch_webhooks::{Attempted, DisableRule, DisabledWebhook};

use super::inner::Inner;
use super::owed::{self, OwedLogs, REFUSED, has_bodies, without_bodies};
use super::queries::finish;
use super::writer::{KeptOpen, is_about_data};
use crate::error::Failure;
use crate::metrics::StoreMetrics;
use crate::weight::{Caller, Weight};

/// How often it is tried to write what is owed to the log.
const OWED_INTERVAL: Duration = Duration::from_secs(1);

/// The same once the store closes.
const LAST_INTERVAL: Duration = Duration::from_millis(100);

/// In every which round one of the webhooks is waited for.
const WAITING_ROUND: usize = 10;

/// Most webhooks that are named one by one where attempts of theirs are given up.
const MOST_NAMED: usize = 64;

/// Writes what is owed while the store lives, and after the soft token what is left of it until the hard one. The
/// writers stay open as long.
pub(super) fn spawn(inner: &Arc<Inner>, open: KeptOpen, scope: &Scope) {
    let left = Left { owed: Arc::clone(&inner.chores.owed), metrics: inner.metrics.clone() };
    scope.spawn("store owed logs", write(Arc::downgrade(inner), (left, open), scope.clone()));
}

async fn write(store: Weak<Inner>, (left, _open): (Left, KeptOpen), scope: Scope) {
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
        inner.write_owed(waits.then_some(n_rounds / WAITING_ROUND)).await;
    }
    // First those that nobody has locked. The hard token ends this.
    let mut turn = None;
    while !left.owed.is_empty()
        && let Some(inner) = store.upgrade()
    {
        inner.write_owed(turn).await;
        drop(inner);
        turn = Some(turn.map_or(0, |turn| turn + 1));
        if !left.owed.is_empty() {
            tokio::time::sleep(LAST_INTERVAL).await;
        }
    }
}

/// What is still owed when nobody can write it any more: told when dropped.
struct Left {
    owed: OwedLogs,
    metrics: StoreMetrics,
}

impl Drop for Left {
    fn drop(&mut self) {
        let lost: BTreeMap<(String, WebhookId), u64> = self.owed.abandon();
        for ((tenant, webhook), n_attempts) in lost.iter().take(MOST_NAMED) {
            tracing::error!(
                tenant,
                %webhook,
                n_attempts,
                "attempts have no log row: their webhook's row was locked until the end"
            );
        }
        let n_attempts: u64 = lost.values().sum();
        self.metrics.unlogged.inc_by(n_attempts);
        if lost.len() > MOST_NAMED {
            tracing::error!(n_webhooks = lost.len(), n_attempts, "in all");
        }
    }
}

impl Inner {
    /// One round over all webhooks that have something owed. What fails waits behind the others.
    /// `turn`: for one of them, another one with each number, it waits in line, for a second.
    async fn write_owed(&self, turn: Option<usize>) {
        let owed = &self.chores.owed;
        let n_webhooks = owed.n_webhooks();
        let waits = turn.map(|turn| turn % n_webhooks.max(1));
        for place in 0..n_webhooks {
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
        let columns = Arc::clone(&self.columns);
        let turn = (Caller::Node, Weight::of_rows(attempts.len()));
        let work = move |conn: &mut _| finish::log_owed(conn, &columns, (webhook, waits), &attempts, rule);
        let noted = Arc::clone(&self.chores.owed);
        let after = move |switched_off: &Option<Vec<DisabledWebhook>>| {
            noted.note_disabled(switched_off.as_deref().unwrap_or_default());
        };
        Ok(self.dispatch.call_then(turn, work, after).await?.is_some())
    }
}
