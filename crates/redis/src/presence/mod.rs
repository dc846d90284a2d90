//! Presence over Redis: who is connected to any node, under leases.
//!
//! A lease is a field of a hash beside the tenant's online set, so that one script changes both and
//! publishes what that means: a transition and its announcement are one thing, told once. What keeps
//! a lease alive is the lease of its node; a node that is not heard of is swept by the others.
//! Whatever Redis does not take now stays pending in [`local_presence`] and is written later.

mod announcement;
mod audit;
mod backlogs;
mod holds;
mod lease_monitor;
mod lease_renewal;
mod local_presence;
mod node_counts;
mod node_leases;
mod restore;
mod sent_away;
mod store;
mod suspects;
mod sweep;
mod user_heartbeats;
mod user_leases;

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch_hub::{BrokerSink, UserKey};
use hookswitch_protocol::{Chain, TenantId};
use hookswitch_runtime::Scope;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::backlogs::Backlogs;
use self::holds::Holds;
use self::lease_monitor::LeaseMonitor;
use self::local_presence::LocalPresence;
use self::node_leases::NodeLeases;
use self::user_leases::{Fence, UserLeases};
use crate::link::{Link, LinkError, LinkState};
use crate::metrics::PresenceMetrics;
use crate::node_lease::NodeLease;

/// Keeps presence in Redis, and goes on by itself while there is none.
///
/// Tells each transition itself, on the tenant's channel, so that every node hears of it there; its
/// calls return none. A coming and a going are never refused: what Redis does not take is said again,
/// within a second or so once it answers.
pub struct RedisPresence {
    link: Link,
    state: watch::Receiver<LinkState>,
    local: LocalPresence,
    leases: UserLeases,
    nodes: NodeLeases,
    monitor: Mutex<LeaseMonitor>,
    backlogs: Backlogs,
    holds: Holds,
    sink: Arc<dyn BrokerSink>,
    metrics: PresenceMetrics,
    has_ended: watch::Sender<bool>,
    has_departed: Notify,
    hasher: RandomState,
    n_jittered: AtomicU64,
}

/// Commands that may have to time out on another node until it notices that Redis is back.
const COMMANDS_TO_NOTICE: u32 = 3;

impl RedisPresence {
    /// Starts the keeper; its tasks end with the scope. After the soft token they go on until the last
    /// user has left. The sink hears of users for whom something may have been kept while Redis did not know
    /// that they are here.
    pub fn start(link: Link, sink: Arc<dyn BrokerSink>, scope: &Scope) -> Arc<Self> {
        let presence = Arc::new(Self {
            state: link.changes(),
            monitor: Mutex::new(LeaseMonitor::new(link.config().node_lease)),
            link,
            local: LocalPresence::default(),
            leases: UserLeases::new(),
            nodes: NodeLeases::new(),
            backlogs: Backlogs::default(),
            holds: Holds::default(),
            sink,
            metrics: PresenceMetrics::default(),
            has_ended: watch::Sender::new(false),
            has_departed: Notify::new(),
            hasher: RandomState::new(),
            n_jittered: AtomicU64::new(0),
        });
        presence.spawn(scope, "presence lease", async |presence| presence.run_lease().await);
        presence.spawn(scope, "presence heartbeats", async |presence| presence.run_heartbeats().await);
        presence.spawn(scope, "presence restoration", async |presence| presence.run_restoration().await);
        presence.spawn(scope, "presence sweep", async |presence| presence.run_sweeps().await);
        presence.spawn(scope, "presence audit", async |presence| presence.run_audits().await);
        presence.spawn(scope, "presence backlogs", async |presence| presence.run_backlogs().await);
        presence.spawn(scope, "presence holds", async |presence| presence.run_holds().await);
        let (ending, soft) = (Arc::clone(&presence), scope.soft().clone());
        scope.spawn("presence end", async move {
            soft.cancelled().await;
            ending.end().await;
        });
        presence
    }

    /// What it counts.
    pub fn metrics(&self) -> &PresenceMetrics {
        &self.metrics
    }

    /// Whether this node counts as alive to the others: renews its lease.
    ///
    /// # Errors
    /// What is wrong, for people; no secret is in it.
    pub async fn check(&self) -> Result<(), String> {
        self.link.ready().map_err(|away| away.summary())?;
        self.renew().await.map_err(|error| error.summary())
    }

    /// When everybody has left: tells the others, if that can be done in time. If not, they find out
    /// when the node's lease is over, also who has left: what has to wait until the others have said
    /// again whom they hold would take longer than a node may take to end.
    async fn end(&self) {
        while !self.local.has_nobody_online() {
            self.local.emptied.notified().await;
        }
        let announced = tokio::time::timeout(self.link.config().flush_timeout(), self.announce_end());
        if announced.await.is_err() {
            tracing::info!(node = %self.link.node(), "the others find out by the lease that this node has ended");
        }
        self.has_ended.send_replace(true);
        self.has_departed.notify_one();
    }

    /// Takes leave when no departure is pending any more. Without Redis there is nobody to tell.
    async fn announce_end(&self) {
        let mut state = self.link.changes();
        while !self.local.is_empty() && self.link.is_up() {
            tokio::select! {
                () = self.local.emptied.notified() => {}
                _changed = state.changed() => {}
            }
        }
        if !self.link.is_up() {
            return;
        }
        // Whoever is held for must be let go one day: the lease lasts until then, and the others sweep it.
        let departed = match self.holds.last() {
            Some(last) => self.nodes.depart_at(&self.link, last.saturating_duration_since(Instant::now())).await,
            None => self.nodes.depart(&self.link).await,
        };
        if let Err(error) = departed {
            self.failed(&error, None);
        }
    }

    /// After the soft token: the last user has left and the others know, or cannot be told in time. For
    /// one waiter.
    pub(crate) async fn ended(&self) {
        self.has_departed.notified().await;
    }

    /// What fences this off from anything older. On a link that opened anew everything is written again first.
    fn fence(&self, tenant: &TenantId) -> Fence {
        let number = self.notice_reopening();
        Fence { number, knows_it_was_swept: self.local.knows_it_was_swept(tenant) }
    }

    fn notice_reopening(&self) -> u64 {
        let n_opened = self.state.borrow().n_opened;
        if self.local.reopened(n_opened, self.after_the_grace()) {
            self.metrics.restorations.inc();
        }
        n_opened
    }

    /// Redis has lost what this node holds, of one tenant or of all.
    fn lost(&self, only: Option<&TenantId>) {
        self.metrics.restorations.inc();
        tracing::info!(node = %self.link.node(), tenant = only.map(tracing::field::display), "presence is said again");
        self.local.doubt(only, self.after_the_grace());
    }

    /// By then every other node has said again whom it holds: a user who left here is not offline
    /// only because Redis has not heard of another node's lease yet.
    fn after_the_grace(&self) -> Instant {
        Instant::now()
            + self.node_lease().all_renewed_within()
            + self.link.config().command_timeout * COMMANDS_TO_NOTICE
    }

    fn node_lease(&self) -> NodeLease {
        self.link.config().node_lease
    }

    /// Up to a fifth more or less, so that nodes which started together do not act together.
    fn jittered(&self, pause: Duration) -> Duration {
        let n = self.n_jittered.fetch_add(1, Ordering::Relaxed);
        let percent = 80 + self.hasher.hash_one(n) % 41;
        pause * percent as u32 / 100
    }

    fn failed(&self, error: &LinkError, tenant: Option<&TenantId>) {
        self.metrics.failures.inc();
        tracing::debug!(tenant = tenant.map(tracing::field::display), error = %Chain(error), "presence has to wait");
    }

    fn spawn<F, Fut>(self: &Arc<Self>, scope: &Scope, task: &'static str, run: F)
    where
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut has_ended = self.has_ended.subscribe();
        let running = run(Arc::clone(self));
        scope.spawn(task, async move {
            tokio::select! {
                () = running => {}
                // Its sender lives as long as the keeper.
                _ended = has_ended.wait_for(|has_ended| *has_ended) => {}
            }
        });
    }
}

/// What is pending for a user, left to restoration unless the call about him comes to its end.
struct PendingWrite<'a> {
    presence: &'a RedisPresence,
    key: &'a UserKey,
    is_settled: bool,
}

impl Drop for PendingWrite<'_> {
    fn drop(&mut self) {
        if !self.is_settled && !self.presence.local.leave_pending(self.key) {
            self.presence.metrics.departures_dropped.inc();
            let UserKey { tenant, user } = self.key;
            tracing::warn!(%tenant, %user, "too many departures wait for Redis, this one is found by comparison later");
        }
    }
}

impl fmt::Debug for RedisPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPresence").field("link", &self.link).finish_non_exhaustive()
    }
}
