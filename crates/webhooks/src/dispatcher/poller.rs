//! Asks the ledger where work waits: when the next retry comes due, and slowly besides; and whom it switched off late.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use hookswitch_protocol::{Chain, Timestamp};

use super::effects;
use crate::context::Context;

/// The shortest time between two questions, so that a thousand retries due at a thousand moments
/// cost a few questions and not a thousand. Retries may be late by this much.
const SHORTEST: Duration = Duration::from_millis(50);

/// After a question it rests at least so many times as long as the answer took: with very many webhooks that wait for
/// something the ledger would do nothing else, and publishers wait for it.
const REST: u32 = 4;

/// Runs until the soft token.
pub(super) async fn run(context: Arc<Context>) {
    let mut is_away = false;
    loop {
        let asked = Instant::now();
        // What settles from here on is signalled after the answer, so it is never forgotten.
        let scheduled = context.inbox.take_next_retry();
        let now = context.clock.now();
        context.seams.ledger.take_disabled().iter().for_each(|late| effects::announce_late(&context, late));
        let next = match context.seams.ledger.backlog(now).await {
            Ok(backlog) => {
                is_away = false;
                context.inbox.found_due(&backlog.due);
                [backlog.next_due, scheduled].into_iter().flatten().filter(|due| *due > now).min()
            }
            Err(error) => {
                if !is_away {
                    tracing::warn!(error = %Chain(&error), "the ledger cannot say which deliveries are due");
                }
                is_away = true;
                None
            }
        };
        let shortest = (asked.elapsed() * REST).clamp(SHORTEST, context.config.poll_interval.max(SHORTEST));
        if !rest(&context, (asked, shortest), next).await {
            return;
        }
    }
}

/// Waits until the next question is worth asking; whether there should be one.
async fn rest(context: &Context, (asked, shortest): (Instant, Duration), mut next: Option<Timestamp>) -> bool {
    let latest = asked + context.config.poll_interval.max(SHORTEST);
    loop {
        let due = next.map_or(latest, |due| Instant::now() + due.since(context.clock.now()));
        let wake = due.min(latest).max(asked + shortest);
        tokio::select! {
            () = context.scope.soft().cancelled() => return false,
            () = tokio::time::sleep_until(wake) => return true,
            () = context.inbox.retry_scheduled.notified() => {}
        }
        next = [next, context.inbox.take_next_retry()].into_iter().flatten().min();
    }
}
