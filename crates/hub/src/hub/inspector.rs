//! One thing with [`hub`](super): what is told of events, of a user's connections and of nodes, here and over all nodes.

use hookswitch_protocol::{EventId, TenantId, UserId};
use hookswitch_runtime::BoxFuture;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::Hub;
use crate::cluster::questions::{self, ClusterAnswer, Question};
use crate::config::HubConfig;
use crate::error::HubError;

use crate::history::place::Place;
use crate::history::size::HistorySize;
use crate::seams::broker::EncodedEvent;
use crate::seams::user_key::UserKey;
use crate::shard::describe::MOST_CONNECTIONS;
use crate::shard::request::Request;
use crate::trace::judged::{AskedEvent, Judged};
use crate::trace::past_connections::PastConnection;
use crate::trace::report::{ConnectionReport, EventTrace, KeptReport, TracedEvent};

/// Tells of a hub whoever asks about an event, a user's connections, or the nodes.
#[derive(Debug, Clone, Copy)]
pub struct Inspector<'a>(&'a Hub);

impl<'a> Inspector<'a> {
    pub(super) const fn of(hub: &'a Hub) -> Self {
        Self(hub)
    }

    /// Its settings.
    pub fn config(self) -> &'a HubConfig {
        &self.0.0.config
    }

    /// How much recent history there is on this node. Looks at every tenant: for a person who asks.
    pub fn history_size(self) -> HistorySize {
        self.0.0.fanout.shared.history.size()
    }

    /// What is remembered of an event on any node, and what became of it for the connections of `user`, where one is
    /// named: those that are open, and those that closed not longer ago than history reaches
    /// ([`HistoryLimits::age`](crate::HistoryLimits)). Made when it is asked for: nothing is written down on an event's
    /// way. Within about a second. Cancel safe.
    ///
    /// # Errors
    /// [`HubError::Overloaded`] when too many ask such things.
    pub async fn trace(
        &self,
        tenant: &TenantId,
        event: &EventId,
        user: Option<&UserId>,
    ) -> Result<ClusterAnswer<EventTrace>, HubError> {
        let question = Question::Trace { tenant: tenant.clone(), event: event.clone(), user: user.cloned() };
        questions::ask_all(self.0, tenant, &question, self.local_trace(tenant, event, user)).await
    }

    /// The same of this node alone.
    pub async fn local_trace(&self, tenant: &TenantId, event: &EventId, user: Option<&UserId>) -> EventTrace {
        trace(self.0, tenant, event, user).await
    }

    /// The open connections of a user, over all nodes. Within about a second. Cancel safe.
    ///
    /// # Errors
    /// [`HubError::Overloaded`] when too many ask such things.
    pub async fn connections(&self, user: &UserKey) -> Result<ClusterAnswer<Vec<ConnectionReport>>, HubError> {
        let question = Question::Connections { tenant: user.tenant.clone(), user: user.user.clone() };
        questions::ask_all(self.0, &user.tenant, &question, self.local_connections(user)).await
    }

    /// The same of this node alone.
    pub async fn local_connections(&self, user: &UserKey) -> Vec<ConnectionReport> {
        describe(self.0, user, None).await
    }

    /// How every node is, as [`Inspector::report_with`] has each say it. `tenant` is who asks. Within about a second. Cancel safe.
    ///
    /// # Errors
    /// [`HubError::Overloaded`] when too many ask such things.
    pub async fn node_reports(&self, tenant: &TenantId) -> Result<ClusterAnswer<Box<RawValue>>, HubError> {
        questions::ask_all(self.0, tenant, &Question::Node, questions::own_report(self.0)).await
    }

    /// How this node says how it is, to whoever asks it and to the other nodes: an object of JSON. The first call counts.
    pub fn report_with(&self, report: impl Fn() -> BoxFuture<'static, Box<RawValue>> + Send + Sync + 'static) {
        let _first = self.0.0.node_report.set(Box::new(report));
    }
}

/// The body of [`Inspector::local_trace`].
async fn trace(hub: &Hub, tenant: &TenantId, id: &EventId, user: Option<&UserId>) -> EventTrace {
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
async fn describe(hub: &Hub, user: &UserKey, asked: Option<&AskedEvent>) -> Vec<ConnectionReport> {
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
