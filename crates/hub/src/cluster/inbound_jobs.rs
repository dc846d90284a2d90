//! What events of other nodes ask for beyond delivery: keeping what reached nobody, bringing what was kept
//! elsewhere.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use hookswitch_protocol::{Chain, NodeId, Retry, TenantId};
use hookswitch_runtime::{FairPermit, FairSemaphore, Scope, Sharing};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::offline_delivery::OfflineDelivery;
use crate::publish::weight::weight;
use crate::seams::broker::{Broker, Origin, Received};
use crate::seams::offline::{OfflineMessage, OfflineStore};
use crate::seams::presence::PresenceStore;
use crate::seams::user_key::UserKey;
use crate::shared::Shared;
use crate::trace::KeptNote;

/// Jobs done at the same time: one whose store does not answer must not hold up the others. One tenant may
/// have half of them under way.
const AT_ONCE: u64 = 64;

/// How long keeping a message is tried before it is given up, and said so: longer than a fail-over.
const KEEP_DEADLINE: Duration = Duration::from_mins(1);

/// What takes longer than handing an event on.
#[derive(Debug)]
pub(crate) enum InboundJob {
    /// An event for one user, for whom this node is answerable together with others.
    Missed { received: Received, outcome: oneshot::Receiver<bool> },
    /// A message of an accepted event that the store did not take yet.
    Keep(OfflineMessage),
    /// Something was kept for a user who may be here.
    Backlog(UserKey),
}

/// A job that waits or is being done, with its part of the room for such.
pub(crate) struct HeldJob {
    pub(crate) job: InboundJob,
    pub(crate) room: FairPermit<TenantId>,
}

impl InboundJob {
    pub(crate) fn tenant(&self) -> &TenantId {
        match self {
            Self::Missed { received, .. } => &received.event.tenant,
            Self::Keep(message) => &message.user.tenant,
            Self::Backlog(user) => &user.tenant,
        }
    }

    /// What it holds, in bytes.
    pub(crate) fn n_bytes(&self) -> usize {
        match self {
            Self::Missed { received, .. } => weight(&received.event),
            Self::Keep(message) => message.envelope.len(),
            Self::Backlog(_) => 0,
        }
    }
}

/// Does jobs, many at a time.
pub(crate) struct InboundJobs {
    pub(crate) shared: Arc<Shared>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) presence: Arc<dyn PresenceStore>,
    pub(crate) offline: Arc<dyn OfflineStore>,
    pub(crate) offline_delivery: Arc<OfflineDelivery>,
    pub(crate) scope: Scope,
}

impl InboundJobs {
    /// Until the node goes away and all that were begun are done.
    pub(crate) async fn run(self, mut todo: mpsc::Receiver<HeldJob>) {
        let soft = self.scope.soft().clone();
        let mut ending = Box::pin(soft.cancelled());
        let mut is_closed = false;
        let jobs = stream::poll_fn(|cx| {
            if !is_closed && ending.as_mut().poll(cx).is_ready() {
                is_closed = true;
                todo.close();
            }
            Poll::Ready(std::task::ready!(todo.poll_recv(cx)))
        });
        // As many as there is room for may have begun; tenants take turns to go on.
        let slots = FairSemaphore::new(AT_ONCE, Sharing { alpha: 1, waiting: u64::MAX });
        let run_one = async |held: HeldJob| {
            let _slot = slots.acquire(held.job.tenant(), 1).await;
            self.run_one(held).await;
        };
        jobs.for_each_concurrent(None, run_one).await;
    }

    /// Its room is taken until it is done.
    async fn run_one(&self, held: HeldJob) {
        let HeldJob { job, room: _room } = held;
        match job {
            InboundJob::Missed { received, outcome } => self.missed(received, outcome).await,
            InboundJob::Keep(message) => self.keep(message).await,
            InboundJob::Backlog(user) => drop(self.offline_delivery.serve(user)),
        }
    }

    /// Keeps an event whose user was here when it was accepted and is gone now.
    async fn missed(&self, received: Received, outcome: oneshot::Receiver<bool>) {
        let others = match received.origin {
            Origin::Node { answerable_with: Some(others) } => others,
            // It was found away only when the event came back.
            Origin::Own(_) => Vec::new(),
            Origin::Node { answerable_with: None } | Origin::Foreign => return,
        };
        if outcome.await.unwrap_or(false) {
            return;
        }
        let Some(message) = OfflineMessage::of(&received.event) else { return };
        // Nobody knows who is there when presence cannot be asked: twice is better than never.
        let holders = self.presence.other_holders(&message.user).await.unwrap_or_default();
        if !holders.iter().any(|holder: &NodeId| others.contains(holder)) {
            self.keep(message).await;
        }
    }

    /// Keeps a message, and sees to it that its user gets it, wherever he has come to.
    async fn keep(&self, message: OfflineMessage) {
        let user = message.user.clone();
        if !self.put(message).await {
            return;
        }
        drop(self.offline_delivery.serve(user.clone()));
        if let Err(error) = self.broker.backlog_kept(&user).await {
            let UserKey { tenant, user } = &user;
            tracing::warn!(%tenant, %user, error = %Chain(&error), "other nodes do not hear of a kept message");
        }
    }

    async fn put(&self, message: OfflineMessage) -> bool {
        let deadline = Instant::now() + KEEP_DEADLINE;
        let UserKey { tenant, user } = message.user.clone();
        loop {
            let Err(error) = self.offline.put(vec![message.clone()]).await else {
                let (tenant, note) = KeptNote::of(&message);
                self.shared.traces.kept.push(&tenant, note);
                return true;
            };
            self.shared.metrics.keeper_failures.inc();
            let pause = match error.retry() {
                Retry::Never => None,
                Retry::Now => Some(Duration::ZERO),
                Retry::After(pause) => Some(pause),
            };
            let pause = pause.filter(|_| Instant::now() < deadline && !self.scope.soft().is_cancelled());
            let event = &message.event_id;
            let Some(pause) = pause else {
                self.shared.metrics.messages_lost.inc();
                tracing::error!(%tenant, %user, %event, error = %Chain(&error), "a message for an absent user is lost");
                return false;
            };
            tracing::warn!(%tenant, %user, %event, error = %Chain(&error), "a message for an absent user has to wait");
            tokio::time::sleep(pause).await;
        }
    }
}
