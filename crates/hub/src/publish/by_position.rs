//! One thing with [`hub`](crate::hub), whose publishing this is where the transport gives events their positions: they are
//! delivered here when they come back.

use crate::hub::Hub;
use crate::publish::fanout::Reservation;
use crate::publish::local_order::{goes_out, note_failure};
use crate::seams::broker::{EncodedEvent, Publication};
use crate::seams::ticket::{Met, Ticket};
use crate::seams::user_key::UserKey;

/// The same as [`Hub::publish`]. Nobody waits for events that come before these and are late: whoever is the
/// addressee of one that is not back yet counts as met while he is here, and is kept it for if he is gone when it is.
pub(crate) async fn publish_by_position(
    hub: &Hub,
    mut room: Reservation,
    publications: &[Publication],
) -> Vec<EncodedEvent> {
    let mut missed = Vec::new();
    for part in publications.chunk_by(|a, b| way_of(a) == way_of(b)) {
        let room = room.split(part.len());
        if part[0].event.event_type.is_passing() {
            pass_on(hub, room, part).await;
            continue;
        }
        if !goes_out(&part[0]) {
            // It reaches its user from the store; the stream has no mark that says so, so it has no place there.
            continue;
        }
        // There was room; what comes back takes its own.
        drop(room);
        let ticketed: Vec<Publication> = part.iter().map(with_ticket).collect();
        note_failure(hub, part, hub.0.broker.publish(&ticketed).await);
        for publication in &ticketed {
            if !has_met(hub, publication).await {
                missed.push(publication.event.clone());
            }
        }
    }
    missed
}

/// Passing events have no position: they are given here, and handed to the other nodes.
async fn pass_on(hub: &Hub, room: Reservation, part: &[Publication]) {
    let mut sending = Vec::with_capacity(1);
    let hand_on = |range: std::ops::Range<usize>| sending.push(hub.0.broker.publish(&part[range]));
    drop(hub.0.fanout.deliver_and(room, part, None, hand_on));
    for sending in sending {
        note_failure(hub, part, sending.await);
    }
}

/// Whether an event has met its user here, or somebody else is answerable for it.
async fn has_met(hub: &Hub, publication: &Publication) -> bool {
    let (Some(ticket), Some(user)) = (&publication.ticket, &publication.event.user) else { return true };
    let user = UserKey { tenant: publication.event.tenant.clone(), user: user.clone() };
    match ticket.leave(|| hub.n_user_connections(&user) > 0) {
        Met::Told(outcome) => outcome.await.unwrap_or(false),
        Met::Taken(is_present) => is_present,
    }
}

/// What goes the same way may go together.
fn way_of(publication: &Publication) -> (bool, bool) {
    (publication.event.event_type.is_passing(), goes_out(publication))
}

/// The publication, with a ticket where somebody wants to know whether it met its user here.
fn with_ticket(publication: &Publication) -> Publication {
    let is_asked = publication.event.seeks_user() && publication.holders.is_empty();
    // Printed before it is cloned, so that it is printed once.
    publication.event.envelope();
    Publication { ticket: is_asked.then(Ticket::default), ..publication.clone() }
}
