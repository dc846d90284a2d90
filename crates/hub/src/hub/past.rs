//! One thing with [`hub`](super): what happened, for programs that compare it with what they know.

use hookswitch_protocol::{Position, TenantId};

use super::Hub;
use crate::history::ring::Recorded;
use crate::publish::wire_form::Tail;

/// Events looked at under the tenant's turn.
const LOOKED_AT: usize = 64;

/// A tenant's events behind a position, as far as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastEvents {
    /// Their envelopes with their positions, each a JSON object, in order. Those for one user are among them, also those
    /// that were kept for an absent one; types that one must ask for are not.
    pub events: Vec<String>,
    /// Everything up to here is among them, or is none of their business: where to go on.
    pub position: Position,
    /// Whether more follow now.
    pub has_more: bool,
}

/// Why events behind a position cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRecovered {
    /// As clients that resume are told it: `expired`, `epoch` or `degraded`.
    pub reason: &'static str,
    /// The tenant's newest position, to go on from once the present state was fetched; `None` where there are none.
    pub newest: Option<Position>,
}

/// The body of [`Hub::events_after`].
pub(super) fn events_after(
    hub: &Hub,
    tenant: &TenantId,
    after: Option<Position>,
    limit: usize,
    n_bytes: usize,
) -> Result<PastEvents, NotRecovered> {
    let history = &hub.0.fanout.shared.history;
    let found = history.find(tenant, after, false);
    let place = found.map_err(|reason| not_recovered(hub, tenant, reason.as_str()))?;
    let (mut events, mut n_left, mut cursor) = (Vec::new(), n_bytes, place);
    loop {
        let page = history.page(tenant, cursor.seq, LOOKED_AT);
        // What fell out meanwhile is told when it is asked for.
        let is_whole = page.lost.seq <= cursor.seq;
        for Recorded { place, event, .. } in page.events.iter().filter(|_| is_whole) {
            if !event.event_type.is_opt_in() {
                let message = Tail::new(place.position, false).of(event.envelope()).parts().concat();
                if events.len() == limit || (message.len() > n_left && !events.is_empty()) {
                    return past(hub, tenant, events, cursor.position, true);
                }
                n_left = n_left.saturating_sub(message.len());
                events.push(String::from_utf8_lossy(&message).into_owned());
            }
            cursor = *place;
        }
        if page.events.len() < LOOKED_AT || !is_whole {
            let end = if is_whole { page.head } else { cursor };
            return past(hub, tenant, events, end.position, !is_whole);
        }
    }
}

fn past(
    hub: &Hub,
    tenant: &TenantId,
    events: Vec<String>,
    position: Option<Position>,
    has_more: bool,
) -> Result<PastEvents, NotRecovered> {
    let position = position.ok_or_else(|| not_recovered(hub, tenant, "degraded"))?;
    Ok(PastEvents { events, position, has_more })
}

fn not_recovered(hub: &Hub, tenant: &TenantId, reason: &'static str) -> NotRecovered {
    NotRecovered { reason, newest: hub.newest_position(tenant) }
}
