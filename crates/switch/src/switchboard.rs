//! The switchboard's handle.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_hub::{Hub, OfflineMessage, Publication, UserKey};
use hookswitch_protocol::{ErrorCode, EventId, EventType, NewEvent, Payload, TenantId, Topic, limits};
use hookswitch_runtime::metrics::Registry;
use hookswitch_runtime::{Clock, Scope};
use hookswitch_webhooks::Webhooks;

use crate::checked::{check, check_user, moves_session};
use crate::context::Context;
use crate::detached::{DetachedRunner, Place};
use crate::error::AcceptError;
use crate::in_flight::InFlight;
use crate::metrics::SwitchMetrics;
use crate::prepared_batch::PreparedBatch;
use crate::store_permits::StorePermits;
use crate::topics::Subscription;
use crate::webhook_notices;

/// Bounds of the switchboard, each with its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchConfig {
    /// Events that may wait for the store at once (4,096, at least 1,000), each 16 KiB of payload counting as one
    /// more: 64 MiB by default. One tenant may have half of it, and an eighth each is kept for batches of at most a
    /// 32nd and a 256th of it (128 and 16 events), so that something is left for whoever has none; beyond it calls wait and are then refused as overloaded.
    pub store_events: usize,
    /// Chosen event ids under way at once (65,536, at least 1,000), shared and refused likewise.
    pub in_flight_ids: usize,
    /// How long a call waits for either (5 s).
    pub store_wait: Duration,
}

impl Default for SwitchConfig {
    fn default() -> Self {
        Self { store_events: 4_096, in_flight_ids: 65_536, store_wait: Duration::from_secs(5) }
    }
}

/// Accepts events and does everything they mean. Clones are the same switchboard.
#[derive(Debug, Clone)]
pub struct Switchboard(pub(crate) Arc<Context>);

impl Switchboard {
    /// A switchboard over this hub and these webhooks. Work that a caller no longer waits for is finished
    /// as a task of `scope`; after the scope's soft token nothing new is accepted.
    ///
    /// What needs a store, or may, is done on the runtime that this is called on, from wherever the
    /// switchboard is asked for it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(config: SwitchConfig, hub: Hub, webhooks: Webhooks, clock: Clock, scope: Scope) -> Self {
        let at_least = limits::EVENTS_PER_REQUEST;
        let store_events = config.store_events.max(at_least) as u64;
        let disabled = webhooks.subscribe_disabled();
        let switch = Self(Arc::new(Context {
            hub,
            webhooks,
            clock,
            detached: DetachedRunner::new(scope.clone()),
            scope,
            in_flight: InFlight::new(config.in_flight_ids.max(at_least), config.store_wait),
            store_permits: StorePermits::new(store_events, config.store_wait),
            topics: Arc::default(),
            metrics: SwitchMetrics::default(),
        }));
        let scope = &switch.0.scope;
        let broadcaster = switch.clone();
        let broadcast = move |tenant, event| {
            let switch = broadcaster.clone();
            async move { switch.broadcast(&tenant, event).await }
        };
        scope.spawn("webhook notices", webhook_notices::run(broadcast, scope.clone(), disabled));
        switch
    }

    /// Accepts a batch of one tenant's events, all or nothing; gives their ids in order. A batch with more
    /// deliveries than go into one transaction ([`hookswitch_webhooks::ENQUEUE_DELIVERIES`]) is stored in
    /// steps, and is accepted when all of them are; one that is stopped between two is told as
    /// [`AcceptError::Partly`].
    ///
    /// When this returns, every event is stored for each webhook that wants it and for the user it
    /// is for, if that user is away; and it is on its way to every connection that may see it.
    /// Batches accepted one after the other reach each connection in that order. An event that
    /// concerns no webhook, no chosen id, no absent user and no chat session's start or end touches
    /// no store.
    ///
    /// Cancel safe: once begun, a batch is accepted or refused as a whole, whether anybody waits
    /// for the answer or not.
    ///
    /// # Errors
    /// [`AcceptError`]; nothing was accepted, but for [`AcceptError::Partly`].
    pub async fn accept(&self, tenant: &TenantId, batch: Vec<NewEvent>) -> Result<Vec<EventId>, AcceptError> {
        let accepted = match check(batch) {
            Ok(batch) if batch.has_chosen_ids() => {
                let work = Arc::clone(&self.0).accept_in_turn(tenant.clone(), batch);
                self.0.detached.finish(Place::Home, "accept", Box::pin(work)).await
            }
            Ok(batch) => {
                let prepared = PreparedBatch::new(&self.0, tenant, batch);
                let place = if prepared.is_live_only() { Place::Anywhere } else { Place::Home };
                let work = Arc::clone(&self.0).accept(prepared);
                self.0.detached.finish(place, "accept", Box::pin(work)).await
            }
            Err(error) => Err(error),
        };
        accepted.inspect_err(|error| self.count_refusal(error.code()))
    }

    /// Delivers an event to connections and nowhere else: no webhook, no copy for absent users, no
    /// chat session starts or ends. Event types of our own are allowed here; they reach connections
    /// that subscribed to them.
    ///
    /// Cancel safe in the same way as [`Switchboard::accept`].
    ///
    /// # Errors
    /// [`AcceptError`]; nothing was delivered.
    pub async fn broadcast(&self, tenant: &TenantId, event: NewEvent) -> Result<EventId, AcceptError> {
        if !event.event_type.is_publishable() && !event.event_type.is_opt_in() {
            return Err(AcceptError::Reserved { index: 0, event_type: event.event_type });
        }
        check_user(0, &event)?;
        if moves_session(&event.event_type) {
            return Err(AcceptError::invalid(0, "type", "starts or ends a chat session, so it must be accepted"));
        }
        // Where sessions are shared, its name is asked for.
        let place = if event.session.is_some() { Place::Home } else { Place::Anywhere };
        let (context, tenant) = (Arc::clone(&self.0), tenant.clone());
        let work = async move {
            let event = Arc::new(context.live_event(&tenant, event).await);
            let room =
                context.hub.reserve_for(&event.tenant, std::iter::once(&*event)).await.map_err(AcceptError::Hub)?;
            let id = event.id.clone();
            context.publish(room, &[Publication::new(event)]).await;
            Ok(id)
        };
        self.0.detached.finish(place, "broadcast", Box::pin(work)).await
    }

    /// The hub behind it.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The webhooks behind it.
    pub fn webhooks(&self) -> &Webhooks {
        &self.0.webhooks
    }

    /// Keeps a message for a user, whether away or not; one who is connected gets it at once, after
    /// whatever waited before it. No webhook hears of it. Cancel safe.
    ///
    /// # Errors
    /// [`AcceptError::Offline`]; nothing was kept.
    pub async fn save_offline(
        &self,
        user: &UserKey,
        event_type: EventType,
        payload: Payload,
    ) -> Result<EventId, AcceptError> {
        let event = NewEvent::new(event_type, payload).to_user(user.user.clone());
        let (context, user) = (Arc::clone(&self.0), user.clone());
        let work = async move {
            let event = context.live_event(&user.tenant, event).await;
            let message = OfflineMessage {
                user: user.clone(),
                event_id: event.id.clone(),
                envelope: Bytes::from(event.encode()),
                at: event.timestamp,
            };
            context.hub.keep_offline(vec![message]).await?;
            context.metrics.kept_offline.inc();
            context.bring_backlog(&user).await;
            Ok(event.id)
        };
        self.0.detached.finish(Place::Home, "save offline", Box::pin(work)).await
    }

    /// Listens to a custom topic of a tenant from within the process. It hears what this node
    /// publishes to the topic for the whole tenant, from now on.
    pub fn subscribe(&self, tenant: &TenantId, topic: &Topic) -> Subscription {
        self.0.topics.subscribe(tenant, topic)
    }

    /// What is counted since the start.
    pub fn metrics(&self) -> &SwitchMetrics {
        &self.0.metrics
    }

    /// Counts a publishing call that was refused, be it before the switchboard saw it.
    pub fn count_refusal(&self, code: ErrorCode) {
        self.0.metrics.refused.inc(code.as_str());
    }

    /// Registers what is counted here, in the hub and of webhooks.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.hub.register_metrics(registry);
        self.0.metrics.register(registry);
        self.0.webhooks.register_metrics(registry);
    }
}
