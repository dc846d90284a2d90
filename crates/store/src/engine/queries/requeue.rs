//! Second chances: ended deliveries become due again.

use diesel::prelude::*;
use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_webhooks::{Requeue, Requeued};

use super::dialect::{CHUNK, Conn, for_update, skip_locked};
use crate::literals::{is_failed, is_missed};
use crate::schema::webhook_deliveries as deliveries;

/// What ended so, of events accepted since then; an ended row's `due_at` is when that was.
macro_rules! ended_since {
    ($conn:expr, $ended:expr, $webhook:expr, $since:expr, $limit:expr) => {{
        let ended = deliveries::table
            .filter($ended)
            .filter(deliveries::webhook_id.eq($webhook.0))
            .filter(deliveries::is_retry.eq(false))
            .filter(deliveries::due_at.ge($since.as_millis()))
            .order((deliveries::due_at.asc(), deliveries::id.asc()))
            .limit(i64::from($limit))
            .select(deliveries::id);
        skip_locked!(ended).load($conn)?
    }};
}

pub(crate) fn requeue(
    conn: &mut Conn,
    webhook: WebhookId,
    which: &Requeue,
    now: Timestamp,
    limit: u32,
) -> QueryResult<Requeued> {
    let ids: Vec<i64> = match which {
        Requeue::One(delivery) => {
            let row = deliveries::table
                .filter(deliveries::delivery_id.eq(delivery.as_str()))
                .filter(deliveries::webhook_id.eq(webhook.0))
                .select((deliveries::id, deliveries::ended_at));
            let found: Option<(i64, Option<i64>)> = for_update!(row).first(conn).optional()?;
            match found {
                None => return Ok(Requeued::default()),
                Some((_, None)) => return Ok(Requeued { n_due: 0, is_under_way: true }),
                Some((id, Some(_))) => vec![id],
            }
        }
        Requeue::FailedSince(since) => {
            let failed = is_failed().and(deliveries::ended_at.le(now.as_millis()));
            ended_since!(conn, failed, webhook, *since, limit)
        }
        Requeue::MissedSince(since) => ended_since!(conn, is_missed(), webhook, *since, limit),
    };
    for chunk in ids.chunks(CHUNK) {
        revive(conn, chunk, now)?;
    }
    Ok(Requeued { n_due: ids.len() as u64, is_under_way: false })
}

/// A fresh round of attempts, however old the event is: somebody wants it now.
fn revive(conn: &mut Conn, ids: &[i64], now: Timestamp) -> QueryResult<()> {
    diesel::update(deliveries::table.filter(deliveries::id.eq_any(ids)))
        .set((
            deliveries::state.eq("due"),
            deliveries::attempts_before.eq(deliveries::attempt - 1),
            deliveries::is_retry.eq(false),
            deliveries::due_at.eq(now.as_millis()),
            deliveries::expires_at.eq(None::<i64>),
            deliveries::ended_at.eq(None::<i64>),
            deliveries::reason.eq(None::<String>),
        ))
        .execute(conn)?;
    Ok(())
}
