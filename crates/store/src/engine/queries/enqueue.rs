//! Acceptance: events and their deliveries, for many callers at once.

#![expect(clippy::ref_option_ref, reason = "diesel's derive makes such references of optional texts")]

use std::collections::HashMap;

use diesel::prelude::*;
use hookswitch_protocol::{DeliveryId, EventId, TenantId, Timestamp};
use hookswitch_webhooks::{NewDeliveries, Seen, SkipReason};

use super::chunks::{check_size, chunks};
use super::dialect::{self, CHUNK, Conn, RowNumbers};
use super::event_ids::{self, IdRow, KnownIds};
use super::skips::{self, NewSkip};
use crate::schema::{webhook_deliveries, webhook_events};
use crate::time::SqlTime;
use crate::weight::Weight;

/// An accepted event with the ids of its deliveries, made before the writer is asked.
pub(crate) struct AcceptedEvent {
    new: NewDeliveries,
    deliveries: Vec<DeliveryId>,
}

impl From<NewDeliveries> for AcceptedEvent {
    fn from(new: NewDeliveries) -> Self {
        let deliveries = new.targets.iter().map(|_| DeliveryId::generate(new.accepted_at)).collect();
        Self { new, deliveries }
    }
}

impl AcceptedEvent {
    /// What storing it costs: a row for each delivery, one for the event and one for its id.
    pub(crate) fn weight(&self) -> Weight {
        Weight { n_rows: self.deliveries.len() + 2, n_bytes: self.new.body.len() }
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.new.tenant
    }
}

#[derive(Insertable)]
#[diesel(table_name = webhook_events, treat_none_as_default_value = false)]
struct EventRow<'a> {
    id: i64,
    tenant_id: &'a str,
    event_id: &'a str,
    event_type: &'a str,
    body: &'a [u8],
    accepted_at: i64,
}

#[derive(Insertable)]
#[diesel(table_name = webhook_deliveries, treat_none_as_default_value = false)]
struct DeliveryRow<'a> {
    delivery_id: &'a str,
    webhook_id: i64,
    tenant_id: &'a str,
    event_row: i64,
    state: &'static str,
    due_at: i64,
    expires_at: Option<i64>,
    order_key: Option<&'a str>,
    created_at: i64,
    ended_at: Option<i64>,
    reason: Option<&'static str>,
}

/// The rows of all accepted batches.
#[derive(Default)]
struct Rows<'a> {
    chosen: Vec<(&'a TenantId, &'a EventId)>,
    ids: Vec<IdRow>,
    events: Vec<EventRow<'a>>,
    deliveries: Vec<DeliveryRow<'a>>,
    skips: Vec<NewSkip<'a>>,
}

/// Stores every batch that holds no conflict; one list of answers per batch. Batches see each other:
/// an id in two of them is repeated, or in conflict, in the later one.
pub(crate) fn enqueue(
    conn: &mut Conn,
    numbers: &RowNumbers,
    batches: &[Vec<AcceptedEvent>],
) -> QueryResult<Vec<Vec<Seen>>> {
    let mut known = load_known(conn, batches)?;
    let stored = known.clone();
    let latest = batches.iter().flatten().map(|event| event.new.accepted_at).max();
    let mut next_event = dialect::next_event_row(conn, numbers, latest)?;
    let mut rows = Rows::default();
    let mut answers = Vec::with_capacity(batches.len());
    for batch in batches {
        let seen = judge(&mut known, batch);
        if !seen.contains(&Seen::Conflict) {
            for (event, _) in batch.iter().zip(&seen).filter(|(_, seen)| **seen == Seen::New) {
                rows.add(event, &mut next_event);
            }
        }
        answers.push(seen);
    }
    rows.store(conn, &stored)?;
    Ok(answers)
}

fn load_known(conn: &mut Conn, batches: &[Vec<AcceptedEvent>]) -> QueryResult<KnownIds> {
    let mut by_tenant: HashMap<&TenantId, Vec<&EventId>> = HashMap::new();
    for AcceptedEvent { new, .. } in batches.iter().flatten().filter(|event| event.new.fingerprint.is_some()) {
        by_tenant.entry(&new.tenant).or_default().push(&new.event_id);
    }
    let mut known = KnownIds::default();
    for (tenant, ids) in by_tenant {
        known.load_more(conn, tenant, &ids)?;
    }
    Ok(known)
}

/// One answer per event; what is new is known from now on, unless the batch is in conflict.
fn judge(known: &mut KnownIds, batch: &[AcceptedEvent]) -> Vec<Seen> {
    let mut added = Vec::new();
    let mut seen = Vec::with_capacity(batch.len());
    for AcceptedEvent { new, .. } in batch {
        let Some(content) = new.fingerprint else {
            seen.push(Seen::New);
            continue;
        };
        let answer = known.look_up(&new.tenant, &new.event_id, content, new.accepted_at);
        if answer == Seen::New {
            known.add(&new.tenant, &new.event_id, content, new.accepted_at);
            added.push(new);
        }
        seen.push(answer);
    }
    if seen.contains(&Seen::Conflict) {
        for new in added {
            known.remove(&new.tenant, &new.event_id);
        }
    }
    seen
}

impl<'a> Rows<'a> {
    fn add(&mut self, event: &'a AcceptedEvent, next_event: &mut i64) {
        let AcceptedEvent { new, deliveries } = event;
        let accepted_at = new.accepted_at.as_millis();
        if let Some(fingerprint) = new.fingerprint {
            self.chosen.push((&new.tenant, &new.event_id));
            self.ids.push(IdRow {
                tenant_id: new.tenant.as_str().to_owned(),
                event_id: new.event_id.as_str().to_owned(),
                fingerprint: fingerprint.0.to_vec(),
                accepted_at,
            });
        }
        if deliveries.is_empty() {
            return;
        }
        let id = *next_event;
        *next_event += 1;
        self.events.push(EventRow {
            id,
            tenant_id: new.tenant.as_str(),
            event_id: new.event_id.as_str(),
            event_type: new.event_type.as_str(),
            body: &new.body,
            accepted_at,
        });
        for (target, delivery) in new.targets.iter().zip(deliveries) {
            let reason = target.is_missed.then_some(SkipReason::Disabled.label());
            self.deliveries.push(DeliveryRow {
                delivery_id: delivery.as_str(),
                webhook_id: target.webhook.0,
                tenant_id: new.tenant.as_str(),
                event_row: id,
                state: if target.is_missed { "missed" } else { "due" },
                due_at: accepted_at,
                expires_at: target.expires_at.map(Timestamp::as_millis),
                order_key: target.order_key.as_deref(),
                created_at: accepted_at,
                ended_at: target.is_missed.then_some(accepted_at),
                reason,
            });
            self.skips.extend(reason.map(|reason| NewSkip {
                webhook_id: target.webhook.0,
                delivery_id: Some(delivery.as_str()),
                event: Some(new.event_type.as_str()),
                reason,
                created_at: SqlTime(new.accepted_at),
            }));
        }
    }

    /// `stored` are the rows of chosen ids that were there before; what is new of them was outdated.
    fn store(self, conn: &mut Conn, stored: &KnownIds) -> QueryResult<()> {
        let outdated = self.chosen.iter().copied().filter(|(tenant, id)| stored.has(tenant, id));
        event_ids::forget(conn, outdated)?;
        event_ids::store(conn, &self.ids)?;
        self.events.iter().try_for_each(|event| check_size(conn, event.body.len()))?;
        for chunk in chunks(&self.events, dialect::chunk_bytes(conn), |event| event.body.len()) {
            diesel::insert_into(webhook_events::table).values(chunk).execute(conn)?;
        }
        for chunk in self.deliveries.chunks(CHUNK) {
            diesel::insert_into(webhook_deliveries::table).values(chunk).execute(conn)?;
        }
        skips::append(conn, &self.skips)
    }
}
