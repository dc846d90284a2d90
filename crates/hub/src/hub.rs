//! The hub's handle: publish, ask, drain.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hookswitch_protocol::{Chain, ConnectionId, Event, NewEvent, NodeId, Position, TenantId, UserId};
use hookswitch_runtime::FairSemaphore;
use hookswitch_runtime::metrics::Registry;
use hookswitch_state::StateSubscription;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::backlog_notice::BacklogNotice;
use crate::cluster::inbound::RemoteInbound;
use crate::cluster::inbound_jobs::InboundJob;
use crate::cluster::presence_notices::PresenceNotices;
use crate::cluster::questions::NodeReporter;
use crate::config::HubConfig;
use crate::error::HubError;
use crate::metrics::HubMetrics;
use crate::offline_delivery::OfflineDelivery;
use crate::publish::affinity::{ShardId, place};
use crate::publish::by_position::publish_by_position;
use crate::publish::fanout::{Fanout, Reservation};
use crate::publish::local_order::{note_failure, publish_in_local_order};
use crate::publish::weight::weight;
use crate::seams::broker::{Broker, EncodedEvent, Publication};
use crate::seams::history::HistoryStore;
use crate::seams::offline::{OfflineError, OfflineMessage, OfflineStore};
use crate::seams::peers::Peers;
use crate::seams::presence::{PresenceError, PresenceState, PresenceStore, UserPresence};
use crate::seams::user_key::UserKey;
use crate::sessions::ChatSessions;
use crate::shard::request::Request;
use crate::trace::KeptNote;

/// Connections, subscriptions and fan-out of one node. Clones are the same hub.
///
/// Its connections may come over several transports at once, each with its own [`crate::WireForm`]: an
/// embedder attaches [`crate::memory::MemoryTransport`]s, the gateway each WebSocket over TCP.
#[derive(Clone)]
pub struct Hub(pub(crate) Arc<HubParts>);

mod gauges;
mod inspector;
mod live_state;
mod past;
mod save;

pub use inspector::Inspector;
pub use past::{NotRecovered, PastEvents};

pub(crate) struct HubParts {
    pub(crate) config: Arc<HubConfig>,
    pub(crate) fanout: Arc<Fanout>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) presence: Arc<dyn PresenceStore>,
    pub(crate) offline: Arc<dyn OfflineStore>,
    pub(crate) shards: Arc<[mpsc::Sender<Request>]>,
    pub(crate) peers: Arc<dyn Peers>,
    /// Says how this node is.
    pub(crate) node_report: OnceLock<NodeReporter>,
    /// Questions to the other nodes that are under way.
    pub(crate) questions: FairSemaphore<TenantId>,
    pub(crate) saved_history: Option<Arc<dyn HistoryStore>>,
    pub(crate) sessions: Arc<ChatSessions>,
    pub(crate) remote_inbound: Arc<RemoteInbound>,
    /// When lingering ends; set once the first drain has seen everybody out.
    pub(crate) linger_deadline: OnceLock<Instant>,
    pub(crate) offline_delivery: Arc<OfflineDelivery>,
    pub(crate) presence_notices: Arc<PresenceNotices>,
}

impl Hub {
    /// Waits for room for `n_events` of this tenant in every shard's mailbox, of which one tenant may
    /// fill a quarter, and no more than is left to others. Taking room before anything durable is
    /// written keeps a full mailbox from turning into half an acceptance. For events of up to 16 KiB
    /// each on average; of others, [`Hub::reserve_for`]. Cancel safe.
    ///
    /// # Errors
    /// [`HubError::Overloaded`] when there is none within the configured deadline.
    pub async fn reserve(&self, tenant: &TenantId, n_events: usize) -> Result<Reservation, HubError> {
        self.0.fanout.reserve(tenant, n_events, 0, self.0.config.publish_deadline).await
    }

    /// The same for just these events: large ones take the room of several. Cancel safe.
    ///
    /// # Errors
    /// [`HubError::Overloaded`] when there is none within the configured deadline.
    pub async fn reserve_for<'a>(
        &self,
        tenant: &TenantId,
        events: impl Iterator<Item = &'a Event>,
    ) -> Result<Reservation, HubError> {
        let (n_events, n_bytes) = events.fold((0, 0), |(n, bytes), event| (n + 1, bytes + weight(event)));
        self.0.fanout.reserve(tenant, n_events, n_bytes, self.0.config.publish_deadline).await
    }

    /// The same, however long it takes, in its turn among the tenant's publishers: for what cannot be refused any
    /// more. The shards take out what is in their mailboxes whatever clients do, so it ends. Cancel safe.
    ///
    /// # Errors
    /// [`HubError::Draining`] when the shards have ended.
    pub async fn reserve_in_turn<'a>(
        &self,
        tenant: &TenantId,
        events: impl Iterator<Item = &'a Event>,
    ) -> Result<Reservation, HubError> {
        let (n_events, n_bytes) = events.fold((0, 0), |(n, bytes), event| (n + 1, bytes + weight(event)));
        self.0.fanout.reserve_in_turn(tenant, n_events, n_bytes).await.map_err(|_closed| HubError::Draining)
    }

    /// Delivers events, in order, to this node's connections and hands them to the other nodes.
    /// At most as many as were reserved for; the order is kept within each tenant.
    ///
    /// Gives the events for one user that reached no connection of that user on this node, and for which
    /// no other node is answerable: whoever closes the last connection counts as present for a moment
    /// longer. Events for everybody are not waited for.
    ///
    /// Local delivery is under way when this is first polled; the rest is not cancel safe: dropped
    /// midway, other nodes may miss events.
    pub async fn publish(&self, room: Reservation, publications: &[Publication]) -> Vec<EncodedEvent> {
        if self.0.broker.gives_positions() {
            publish_by_position(self, room, publications).await
        } else {
            publish_in_local_order(self, room, publications).await
        }
    }

    /// Delivers a passing event, such as a typing indicator, without waiting for room.
    ///
    /// # Errors
    /// [`HubError::Overloaded`] when there is no room now.
    pub async fn relay(&self, event: Arc<Event>, except: Option<ConnectionId>) -> Result<(), HubError> {
        let room = self.0.fanout.try_reserve(&event.tenant, 1, weight(&event))?;
        let publication = [Publication::new(event)];
        let mut sending = None;
        let hand_on = |_| sending = Some(self.0.broker.publish(&publication));
        drop(self.0.fanout.deliver_and(room, &publication, except, hand_on));
        if let Some(sending) = sending {
            note_failure(self, &publication, sending.await);
        }
        Ok(())
    }

    /// Keeps messages for users who are away, durably where the store is.
    ///
    /// # Errors
    /// What the store says; nothing was kept then.
    pub async fn keep_offline(&self, messages: Vec<OfflineMessage>) -> Result<(), OfflineError> {
        let kept = messages.iter().map(KeptNote::of).collect::<Vec<_>>();
        self.0.offline.put(messages).await?;
        let traces = &self.0.fanout.shared.traces;
        for (tenant, note) in kept {
            traces.kept.push(&tenant, note);
        }
        Ok(())
    }

    /// Keeps a message as soon as the store takes it, and brings it to its user; whether there is room
    /// to wait for that. Until then it is in this process only.
    pub fn keep_later(&self, message: OfflineMessage) -> bool {
        self.0.remote_inbound.run(InboundJob::Keep(message))
    }

    /// Whether the user has a connection on any node.
    ///
    /// # Errors
    /// What the presence store says, unless the user is connected right here.
    pub async fn is_online(&self, user: &UserKey) -> Result<bool, PresenceError> {
        if self.n_user_connections(user) > 0 {
            return Ok(true);
        }
        Ok(self.0.presence.state(user).await?.state != PresenceState::Offline)
    }

    /// Where the user is connected: on this node, or on which others.
    ///
    /// # Errors
    /// What the presence store says, unless the user is connected right here.
    pub async fn user_location(&self, user: &UserKey) -> Result<UserLocation, PresenceError> {
        if self.n_user_connections(user) > 0 {
            return Ok(UserLocation::Here);
        }
        let holders = self.0.presence.other_holders(user).await?;
        Ok(if holders.is_empty() { UserLocation::Away } else { UserLocation::Elsewhere(holders) })
    }

    /// Tells the other nodes that messages were kept for a user who may have come to one of them.
    pub async fn backlog_kept(&self, user: &UserKey) {
        if let Err(error) = self.0.broker.backlog_kept(user).await {
            self.0.fanout.shared.metrics.broker_failures.inc();
            tracing::warn!(tenant = %user.tenant, user = %user.user, error = %Chain(&error), "other nodes do not hear of kept messages");
        }
    }

    /// Says that messages were kept for a user who has come meanwhile: they are brought at once. What
    /// is published for that user after [`BacklogNotice::taken`] comes behind them.
    pub fn backlog_arrived(&self, user: &UserKey) -> BacklogNotice {
        self.0.offline_delivery.serve(user.clone())
    }

    /// Takes what waits for a user who fetches it by other means than a connection; what is taken
    /// is confirmed at once.
    ///
    /// # Errors
    /// What the store says.
    pub async fn take_offline(&self, user: &UserKey, limit: usize) -> Result<Vec<bytes::Bytes>, OfflineError> {
        let claim = self.0.offline.claim(user, limit).await?;
        let numbers: Vec<_> = claim.messages.iter().map(|message| message.number).collect();
        self.0.offline.confirm(user, &numbers).await?;
        Ok(claim.messages.into_iter().map(|message| message.envelope).collect())
    }

    /// What is known of one user, over all nodes.
    ///
    /// # Errors
    /// What the presence store says.
    pub async fn presence(&self, user: &UserKey) -> Result<UserPresence, PresenceError> {
        self.0.presence.state(user).await
    }

    /// The users of a tenant that are connected to any node.
    ///
    /// # Errors
    /// What the presence store says.
    pub async fn online_users(&self, tenant: &TenantId) -> Result<Vec<UserId>, PresenceError> {
        self.0.presence.online_users(tenant).await
    }

    /// Connections of this node.
    pub fn n_connections(&self) -> usize {
        self.0.fanout.shared.connection_counts.n_total()
    }

    /// Connections of one tenant on this node, visitors included.
    pub fn n_tenant_connections(&self, tenant: &TenantId) -> usize {
        self.0.fanout.shared.connection_counts.n_tenant(tenant)
    }

    /// Connections of one user on this node.
    pub fn n_user_connections(&self, user: &UserKey) -> u32 {
        self.0.fanout.shared.connection_counts.n_user(user)
    }

    /// Assigns a publisher of events like this one its place: beside the only shard where they may be
    /// wanted, while that has time to spare, or `None`, which is anywhere else. `now` is the shard beside
    /// which it runs so far; where nothing speaks for another place, it stays.
    ///
    /// Counts on being obeyed: a shard takes in one publisher, and sends one away, each time its load was
    /// measured, so that the next decision knows what the last one did. Takes a short lock, so it is not
    /// for every event.
    pub fn assign_place(&self, tenant: &TenantId, event: &NewEvent, now: Option<ShardId>) -> Option<ShardId> {
        if self.0.broker.gives_positions() {
            // Delivered by whoever hears their positions.
            return None;
        }
        let interested = self.0.fanout.shared.connection_counts.only_interested_shard(tenant, event).map(ShardId);
        place(interested, now, |shard| &self.0.fanout.mailbox(shard).load)
    }

    /// The runtime of the shard's thread, for publishers. What runs there must not block nor compute
    /// for long: the shard's connections wait meanwhile. It ends with the hub's scope.
    pub fn runtime_beside(&self, shard: ShardId) -> &Handle {
        &self.0.fanout.mailbox(shard).runtime
    }

    /// The live chat sessions.
    pub fn sessions(&self) -> &ChatSessions {
        &self.0.sessions
    }

    /// What is counted since the start.
    pub fn metrics(&self) -> &HubMetrics {
        &self.0.fanout.shared.metrics
    }

    /// Registers what is counted, and how many connections there are now.
    pub fn register_metrics(&self, registry: &mut Registry) {
        gauges::register(self, registry);
        self.metrics().register(registry);
    }

    /// Whether nobody is taken in any more: [`Hub::refuse_newcomers`] or [`Hub::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.0.fanout.shared.draining.is_cancelled()
    }

    /// Refuses new connections from now on, for good; those that are here stay until [`Hub::drain`].
    pub fn refuse_newcomers(&self) {
        self.0.fanout.shared.draining.cancel();
    }

    /// Connections that are still to be closed, once the hub drains; 0 before.
    pub fn n_to_drain(&self) -> usize {
        if self.is_draining() { self.n_connections() } else { 0 }
    }

    /// Over how long [`Hub::drain`] spreads the closes.
    pub fn drain_window(&self) -> Duration {
        self.0.config.drain_window
    }

    /// Refuses new connections and sends everybody elsewhere, spread over [`HubConfig::drain_window`]: each client
    /// is told when to come back (`reconnect`) and closed with 1012. Waits until all are out, or the time for
    /// that is over; whether all were. Then lingers, where other nodes may still send events for those who were
    /// here. Cancel safe; the draining goes on, and calling it again waits for the same end.
    pub async fn drain(&self) -> bool {
        self.drain_within(self.0.config.drain_window).await
    }

    /// The same over `window`, counted from now. Beside a drain that is under way it can only hurry it.
    pub async fn drain_within(&self, window: Duration) -> bool {
        self.refuse_newcomers();
        let (config, shared) = (&self.0.config, &self.0.fanout.shared);
        // Those who are left at the end wait for events that were handed over, and take their time for the close.
        let deadline = shared.departure.begin(window) + config.drain_patience() + config.last_close_timeout();
        let are_out = tokio::time::timeout_at(deadline, shared.connection_counts.empty()).await.is_ok();
        // Once: whoever drains again waits for what is left of it. And not at all where nothing is
        // left: even the shortest sleep takes until the timer's next tick, too long for a caller in
        // a hurry.
        let linger_deadline = *self.0.linger_deadline.get_or_init(|| Instant::now() + self.0.config.drain_linger);
        if linger_deadline > Instant::now() {
            tokio::time::sleep_until(linger_deadline).await;
        }
        are_out
    }

    /// Where the tenant's order ends now; `None` on a node that gives no positions.
    pub fn newest_position(&self, tenant: &TenantId) -> Option<Position> {
        self.0.fanout.shared.history.end(tenant).position
    }

    /// The tenant's events behind `after`, `None` being a text that is no position: at most `limit` and about `n_bytes`,
    /// but one at least. Looks into memory only, a few events at a time.
    ///
    /// # Errors
    /// [`NotRecovered`]; nothing is given in part.
    pub fn events_after(
        &self,
        tenant: &TenantId,
        after: Option<Position>,
        limit: usize,
        n_bytes: usize,
    ) -> Result<PastEvents, NotRecovered> {
        past::events_after(self, tenant, after, limit, n_bytes)
    }

    /// The tenant's live state as it is now, a JSON object with `position`, `complete` and an object per section that
    /// is wanted: agents, calls, queues and so on by their keys. It has everything that was published before.
    ///
    /// The first call begins to follow the tenant, from what recent history holds; once nobody has read it for
    /// [`StateLimits::keep`](crate::StateLimits::keep) that ends. A tenant whose state nobody reads costs nothing. Where
    /// something may be missing `complete` is false: for [`StateSettings::call_max_age`] after the node began to give
    /// the tenant's events positions, or after the first call where history reaches no further back. A call of which
    /// nothing is heard is marked `stale` and stays until its end is published.
    ///
    /// `None` beside other nodes, where no state is held yet. Computes for as long as it takes to write the entries,
    /// without a lock that publishers of other tenants need.
    ///
    /// [`StateSettings::call_max_age`]: crate::StateSettings::call_max_age
    pub fn read_state(&self, tenant: &TenantId, wanted: &StateSubscription) -> Option<String> {
        live_state::read_state(self, tenant, wanted)
    }

    /// Tells what became of events, which connections users have, and how the nodes are.
    pub const fn inspect(&self) -> Inspector<'_> {
        Inspector::of(self)
    }

    /// Saves recent history for the next node on the same store, where there is one and this node gives the positions:
    /// where each tenant's history ends first, then the newest events of each, then older ones, until `deadline`. What
    /// was not saved is not kept any more after the restart. Call it when nothing is published any more. Whether all of
    /// it was saved. Cancel safe; calling it again begins anew.
    pub async fn save_history(&self, deadline: Instant) -> bool {
        save::save_history(self, deadline).await
    }
}

/// Where a user is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserLocation {
    /// Nowhere.
    Away,
    /// To this node, and maybe to others.
    Here,
    /// To these nodes, and not to this one.
    Elsewhere(Vec<NodeId>),
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("n_connections", &self.n_connections()).finish_non_exhaustive()
    }
}
