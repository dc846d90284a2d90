//! One thing with [`hub`](crate::hub), whose publishing this is where events have the order in which they are published
//! here: they are delivered at once, in the tenant's turn.

use std::ops::Range;

use hookswitch_protocol::Chain;

use crate::hub::Hub;
use crate::publish::fanout::Reservation;
use crate::seams::broker::{BrokerError, EncodedEvent, Publication};

/// The body of [`Hub::publish`] on such a node.
pub(crate) async fn publish_in_local_order(
    hub: &Hub,
    room: Reservation,
    publications: &[Publication],
) -> Vec<EncodedEvent> {
    let mut sending = Vec::with_capacity(1);
    let mut hand_on_some = |part: Range<usize>| sending.push((part.clone(), hub.0.broker.publish(&publications[part])));
    let hand_on = |part: Range<usize>| {
        let mut start = part.start;
        for some in publications[part].chunk_by(|a, b| goes_out(a) == goes_out(b)) {
            if goes_out(&some[0]) {
                hand_on_some(start..start + some.len());
            }
            start += some.len();
        }
    };
    let outcomes = hub.0.fanout.deliver_and(room, publications, None, hand_on);
    for (part, sending) in sending {
        note_failure(hub, &publications[part], sending.await);
    }
    let mut missed = Vec::new();
    let targeted = publications.iter().filter(|publication| publication.event.seeks_user());
    for (Publication { event, holders, .. }, outcome) in targeted.zip(outcomes) {
        // A shard that is gone reached nobody.
        if holders.is_empty() && !outcome.await.unwrap_or(false) {
            missed.push(event.clone());
        }
    }
    missed
}

/// Counts and logs what the other nodes may not have.
pub(crate) fn note_failure(hub: &Hub, publications: &[Publication], sent: Result<(), BrokerError>) {
    if let Err(error) = sent {
        hub.0.fanout.shared.metrics.broker_failures.inc_by(publications.len() as u64);
        for Publication { event, .. } in publications {
            tracing::warn!(tenant = %event.tenant, event = %event.id, error = %Chain(&error), "other nodes miss an event");
        }
    }
}

/// Whether other nodes are to hear of it now: what is kept reaches its user from the store, but the end of a chat
/// session concerns its visitors all the same.
pub(crate) fn goes_out(publication: &Publication) -> bool {
    !publication.event.is_kept() || publication.event.event_type.ends_session()
}
