//! One thing with [`hub`](super): what became of an event, and which connections a user has.

use hookswitch_protocol::{EventId, TenantId, UserId};
use tokio::sync::oneshot;

use super::Hub;
use crate::history::place::Place;
use crate::seams::broker::EncodedEvent;
use crate::seams::user_key::UserKey;
use crate::shard::describe::MOST_CONNECTIONS;
use crate::shard::request::Request;
use crate::trace::judged::{AskedEvent, Judged};
use crate::trace::past_connections::PastConnection;
use crate::trace::report::{ConnectionReport, EventTrace, KeptReport, TracedEvent};

/// The body of [`Hub::trace`].
pub(super) async fn trace(hub: &Hub, tenant: &TenantId, id: &EventId, user: Option<&UserId>) -> EventTrace {
    let shared = &hub.0.fanout.shared;
    let kept = shared.traces.kept.newest(tenant, MOST_CONNECTIONS, |note| {
        (note.event == *id).then(|| KeptReport { user: note.user.clone(), at: note.at })
    });
    let Some((event, place, is_held)) = shared.history.remembered(tenant, id) else {
        return EventTrace { kept, ..EventTrace::default() };
    };
    let traced = traced(&event, place);
    let mut connections = Vec::new();
    if let Some(user) = user {
        let user = UserKey { tenant: tenant.clone(), user: user.clone() };
        let asked = AskedEvent { seq: place.seq, event, is_held };
        connections = describe(hub, &user, Some(&asked)).await;
        connections.extend(closed(hub, &user, &asked, MOST_CONNECTIONS.saturating_sub(connections.len())));
    }
    EventTrace { event: Some(traced), kept, connections }
}

/// The user's open connections, over all shards.
pub(super) async fn describe(hub: &Hub, user: &UserKey, asked: Option<&AskedEvent>) -> Vec<ConnectionReport> {
    let mut replies = Vec::with_capacity(hub.0.shards.len());
    for shard in hub.0.shards.iter() {
        let (reply, told) = oneshot::channel();
        let request = Request::Describe { user: user.clone(), asked: asked.cloned(), reply };
        // A shard that is gone has no connections.
        if shard.send(request).await.is_ok() {
            replies.push(told);
        }
    }
    let mut connections = Vec::new();
    for told in replies {
        connections.extend(told.await.unwrap_or_default());
    }
    connections.sort_by_key(|connection| std::cmp::Reverse(connection.since));
    connections.truncate(MOST_CONNECTIONS);
    connections
}

fn traced(event: &EncodedEvent, Place { position, .. }: Place) -> TracedEvent {
    TracedEvent {
        event_type: event.event_type.clone(),
        user: event.user.clone(),
        accepted_at: event.timestamp,
        position,
        is_own: !event.is_from_elsewhere(),
    }
}

/// Those that closed, as far as they are remembered.
fn closed(hub: &Hub, user: &UserKey, asked: &AskedEvent, most: usize) -> Vec<ConnectionReport> {
    let shared = &hub.0.fanout.shared;
    let n_later = |judged: &Judged<'_>| {
        let up_to = judged.behind.map_or(judged.appended, |behind| behind.cursor);
        let mut n_later = 0;
        shared.history.for_each_between(&user.tenant, (asked.seq, up_to), |recorded| {
            n_later += usize::from(judged.is_given(&recorded.event));
        });
        n_later
    };
    let of_user = |past: &PastConnection| past.is_of(&user.user).then(|| past.report(asked, n_later));
    shared.traces.past_connections.newest(&user.tenant, most, of_user)
}
