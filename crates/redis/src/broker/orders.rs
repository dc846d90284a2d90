//! All tenants' events in the order of their streams, on their way to the hub.
//!
//! A tenant's events are given under its lock, so that their order is the hub's, whoever brings them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hookswitch_hub::{BrokerSink, GapScope, Origin, Publication, Received};
use hookswitch_protocol::{Chain, Position, TenantId};
use hookswitch_runtime::Scope;
use tokio::sync::Semaphore;

use super::order_heads::Heads;
use super::tenant_order::{EventNumber, Step, Steps, TenantOrder, give};
use super::wire::{self, Context};
use crate::history::{Appended, HistoryRead, HistoryStream, PageBounds};
use crate::link::Link;
use crate::metrics::BrokerMetrics;

/// How long what is missing may yet come by itself: a channel is a little behind the answers to appends.
const PATIENCE: Duration = Duration::from_millis(20);

/// Histories read at the same time.
const READS_AT_ONCE: usize = 8;

/// What one reading may bring.
const PAGE: PageBounds = PageBounds { events: 1_000, bytes: 1024 * 1024 };

/// Tenants that are remembered; past it those are forgotten that nobody watches.
const REMEMBERED: usize = 100_000;

/// Every tenant's order.
pub(crate) struct Orders {
    pub(super) link: Link,
    pub(crate) history: HistoryStream,
    pub(super) sink: Arc<dyn BrokerSink>,
    pub(super) metrics: BrokerMetrics,
    scope: Scope,
    tenants: Mutex<HashMap<TenantId, SharedOrder>>,
    reads: Semaphore,
    pub(super) heads: Heads,
    this: Weak<Self>,
}

/// One tenant's order.
pub(crate) type SharedOrder = Arc<Mutex<TenantOrder>>;

/// The order, while nobody else changes it.
pub(crate) fn locked(order: &SharedOrder) -> MutexGuard<'_, TenantOrder> {
    order.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Orders {
    pub(crate) fn new(link: Link, sink: Arc<dyn BrokerSink>, metrics: BrokerMetrics, scope: Scope) -> Arc<Self> {
        let history = HistoryStream::new(link.clone(), link.config().history);
        let reads = Semaphore::new(READS_AT_ONCE);
        let new = |this: &Weak<Self>| {
            let this = Weak::clone(this);
            Self {
                link,
                history,
                sink,
                metrics,
                scope,
                tenants: Mutex::default(),
                reads,
                heads: Heads::default(),
                this,
            }
        };
        Arc::new_cyclic(new)
    }

    pub(super) fn tenants(&self) -> MutexGuard<'_, HashMap<TenantId, SharedOrder>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, tenant: &TenantId) -> SharedOrder {
        let mut tenants = self.tenants();
        if let Some(order) = tenants.get(tenant) {
            return Arc::clone(order);
        }
        if tenants.len() >= REMEMBERED {
            // One that somebody holds, or whose lock is taken, is in use.
            tenants.retain(|_, order| {
                Arc::strong_count(order) > 1 || order.try_lock().map_or(true, |order| order.is_watched)
            });
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }

    /// From now on this tenant's events are given, as soon as it is known behind which position.
    pub(crate) fn begin(&self, tenant: &TenantId) {
        locked(&self.of(tenant)).is_watched = true;
    }

    /// This tenant's events are not given any more.
    pub(crate) fn stop(&self, tenant: &TenantId) {
        locked(&self.of(tenant)).stop();
    }

    /// Does what follows of a change, and has fetched what is missing.
    pub(crate) fn carry_out(&self, tenant: &TenantId, order: &mut TenantOrder, steps: Steps) {
        for step in steps {
            match step {
                Step::Give(events) => self.give(tenant, events),
                Step::Missed(n_missed) => {
                    self.metrics.missed.inc_by(n_missed);
                    self.sink.on_gap(GapScope::Tenant(tenant.clone()), Some(n_missed));
                }
                Step::NewEpoch => {
                    tracing::warn!(%tenant, "recent history was lost or set back: positions begin anew");
                    self.sink.on_gap(GapScope::Tenant(tenant.clone()), None);
                }
            }
        }
        if order.hole().is_some()
            && !std::mem::replace(&mut order.is_fetching, true)
            && let Some(this) = self.this.upgrade()
        {
            let tenant = tenant.clone();
            self.scope.spawn_contained("redis-fetch", async move { this.fetch(&tenant).await });
        }
    }

    fn give(&self, tenant: &TenantId, events: Vec<Received>) {
        let n_others = events.iter().filter(|received| !matches!(received.origin, Origin::Own(_))).count();
        self.metrics.received.inc_by(n_others as u64);
        self.sink.on_events(tenant, events);
    }

    /// Events off the channels, in the order in which they came.
    pub(crate) fn take(&self, tenant: &TenantId, order: &SharedOrder, received: Vec<Received>) {
        let mut order = locked(order);
        let mut steps = Steps::new();
        for received in received {
            match received.position {
                Some(position) => order.take(position, received, &mut steps),
                None => give(received, &mut steps),
            }
        }
        self.carry_out(tenant, &mut order, steps);
    }

    /// Somebody says that the tenant's history goes up to here.
    pub(crate) fn heard_of(&self, tenant: &TenantId, head: Position) {
        let order = self.of(tenant);
        let mut order = locked(&order);
        order.heard_of(head);
        self.carry_out(tenant, &mut order, Steps::new());
    }

    /// Compares where histories end with what came, and fetches what did not.
    pub(crate) fn look_up(&self, tenants: Vec<TenantId>) {
        if let Some(this) = self.this.upgrade() {
            self.scope.spawn_contained("redis-heads", async move { this.read_heads(&tenants, false).await });
        }
    }

    /// Tells the hub whenever the way to the other nodes opens or closes; until it is dropped.
    pub(crate) async fn tell_way(self: Arc<Self>) {
        let mut changes = self.link.changes();
        loop {
            let is_open = changes.borrow_and_update().problem.is_none();
            self.sink.on_link_state(is_open);
            // The sender lives as long as the link.
            let _changed = changes.changed().await;
        }
    }

    /// Redis has appended what was on its way.
    pub(crate) fn appended(&self, tenant: &TenantId, appended: &Appended) {
        let order = self.of(tenant);
        let mut order = locked(&order);
        order.is_degraded = false;
        self.heads.note_append(tenant);
        let steps = order.appended(appended);
        self.carry_out(tenant, &mut order, steps);
    }

    /// Redis does not take this tenant's events now: those that are on their way are given without positions, and then
    /// those that `waiting` gives, which are called for under the tenant's lock.
    pub(crate) fn degrade(&self, tenant: &TenantId, waiting: impl FnOnce() -> Vec<Publication>) {
        let order = self.of(tenant);
        let mut order = locked(&order);
        let mut live = order.degrade();
        let waiting = waiting().into_iter().map(|publication| Received {
            event: publication.event,
            origin: Origin::Own(publication.ticket),
            position: None,
            is_known: false,
        });
        live.extend(waiting);
        self.metrics.degraded.inc_by(live.len() as u64);
        if order.is_watched && !live.is_empty() {
            return self.give(tenant, live);
        }
        for received in live {
            if let Origin::Own(Some(ticket)) = received.origin {
                ticket.miss();
            }
        }
    }

    /// Fetches what is missing, unless it comes by itself; gives up on what does not come in the time of a command.
    async fn fetch(&self, tenant: &TenantId) {
        tokio::time::sleep(PATIENCE).await;
        let order = self.of(tenant);
        loop {
            let fetching = self.fetch_pages(tenant, &order);
            let is_done = tokio::time::timeout(self.link.config().command_timeout, fetching).await.unwrap_or(false);
            let mut order = locked(&order);
            let mut steps = Steps::new();
            if !is_done {
                order.give_up(&mut steps);
            }
            // Before it is carried out, what follows must not begin another.
            self.carry_out(tenant, &mut order, steps);
            if order.hole().is_none() {
                order.is_fetching = false;
                return;
            }
        }
    }

    /// Whether nothing is missing any more.
    async fn fetch_pages(&self, tenant: &TenantId, order: &SharedOrder) -> bool {
        // Nobody closes it.
        let Ok(_permit) = self.reads.acquire().await else { return false };
        loop {
            let Some((after, until)) = locked(order).hole() else { return true };
            let read = match self.history.read_after(tenant, after, PAGE).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(%tenant, error = %Chain(&error), "missing events could not be fetched");
                    return false;
                }
            };
            let mut steps = Steps::new();
            match read {
                HistoryRead::Page(page) => {
                    self.metrics.fetched.inc_by(page.events.len() as u64);
                    let events = page.events.into_iter().filter_map(|event| {
                        let position = Position { offset: event.offset, ..after };
                        let (number, received) = self.read_event(tenant, &event.envelope, position)?;
                        Some((position, number, received))
                    });
                    let (events, head) = (events.collect(), page.head.position);
                    let mut order = locked(order);
                    order.fill(events, page.missing, head, &mut steps);
                    if page.through >= head.offset {
                        order.disown(until, head, &mut steps);
                    }
                    self.carry_out(tenant, &mut order, steps);
                }
                HistoryRead::Unknown { head: Some(head) } if head.position.epoch > after.epoch => {
                    let mut order = locked(order);
                    order.goes_on_in(head.position.epoch, &mut steps);
                    self.carry_out(tenant, &mut order, steps);
                }
                HistoryRead::Unknown { .. } => return false,
            }
        }
    }

    /// Reads an event of a history; `None` where it is none that a node would write.
    pub(crate) fn read_event(
        &self,
        tenant: &TenantId,
        envelope: &[u8],
        position: Position,
    ) -> Option<(Option<EventNumber>, Received)> {
        let context = Context {
            node: self.link.node(),
            tenant: Some(tenant),
            topic: None,
            now: self.link.clock().now(),
            largest: self.link.config().message_bytes,
        };
        let incoming = wire::decode(envelope, context).ok()?;
        let mut received = incoming.received;
        received.position = Some(position);
        let number = incoming.publisher.map(|(node, seq)| (Some(node).filter(|node| node != self.link.node()), seq));
        if matches!(number, Some((None, _))) {
            received.origin = Origin::Own(None);
        }
        Some((number, received))
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").field("n_tenants", &self.tenants().len()).finish_non_exhaustive()
    }
}
