//! From one publisher to all shards: room, encoding, hand-over.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_protocol::{ConnectionId, Position, TenantId};
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, mpsc, oneshot};

use crate::error::HubError;
use crate::history::TenantLock;
use crate::history::place::Place;
use crate::publish::affinity::{Load, ShardId};
use crate::publish::batch::{Batch, PreparedEvent};
use crate::publish::receipt::DeliveryReceipt;
use crate::publish::tenant_quota::{QuotaPermit, TenantQuotas};
use crate::seams::broker::EncodedEvent;
use crate::shared::Shared;

/// The publishing side of all shards' mailboxes.
pub(crate) struct Fanout {
    pub(crate) shared: Arc<Shared>,
    mailboxes: Vec<ShardMailbox>,
    quotas: Arc<TenantQuotas>,
}

/// What an event may weigh on average for the room of one; where events are larger, so much more room.
const BYTES_PER_EVENT: usize = 16 * 1024;

/// One shard's mailbox.
pub(crate) struct ShardMailbox {
    pub(crate) batches: mpsc::Sender<Batch>,
    /// The runtime of the shard's thread.
    pub(crate) runtime: Handle,
    pub(crate) load: Arc<Load>,
}

/// Room for some events of one tenant in every shard's mailbox; given back when dropped, or when the
/// events are through everywhere.
#[derive(Debug)]
#[must_use = "room that is dropped is given back"]
pub struct Reservation {
    n_events: usize,
    quota: Arc<QuotaPermit>,
}

/// Where events are entered in recent history.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Placing {
    /// Behind the last one, but for passing ones.
    Next,
    /// The first at this position, the others behind it.
    At(Position),
    /// Nowhere: they are given as they come, or not at all.
    Nowhere,
}

impl Fanout {
    pub(crate) fn new(shared: Arc<Shared>, mailboxes: Vec<ShardMailbox>, mailbox_events: usize) -> Self {
        Self { shared, mailboxes, quotas: Arc::new(TenantQuotas::new(mailbox_events)) }
    }

    /// Most events of one tenant for which there can be room at once.
    pub(crate) fn largest_batch(&self) -> usize {
        self.quotas.n_events()
    }

    /// How much room so many events of so many bytes take together: bounded are both at once. What is more
    /// than all of a tenant's takes all of it.
    fn n_permits(&self, n_events: usize, n_bytes: usize) -> usize {
        n_events.max(n_bytes.div_ceil(BYTES_PER_EVENT).min(self.largest_batch()))
    }

    pub(crate) fn mailbox(&self, shard: ShardId) -> &ShardMailbox {
        &self.mailboxes[usize::from(shard.0)]
    }

    /// Takes room of the tenant's share, and then of all there is, in which tenants have their turns.
    pub(crate) async fn reserve(
        &self,
        tenant: &TenantId,
        n_events: usize,
        n_bytes: usize,
        deadline: Duration,
    ) -> Result<Reservation, HubError> {
        if let Ok(room) = self.try_reserve(tenant, n_events, n_bytes) {
            return Ok(room);
        }
        match tokio::time::timeout(deadline, self.wait_for_room(tenant, n_events, n_bytes)).await {
            Ok(Ok(reservation)) => Ok(reservation),
            Ok(Err(_closed)) => Err(HubError::Draining),
            Err(_elapsed) => {
                self.shared.metrics.publish_refused.inc();
                Err(HubError::Overloaded { n_events, waited: deadline })
            }
        }
    }

    /// Room however long that takes: in its turn among the tenant's publishers.
    ///
    /// # Errors
    /// When the node goes away.
    pub(crate) async fn reserve_in_turn(
        &self,
        tenant: &TenantId,
        n_events: usize,
        n_bytes: usize,
    ) -> Result<Reservation, AcquireError> {
        match self.try_reserve(tenant, n_events, n_bytes) {
            Ok(room) => Ok(room),
            Err(_full) => self.wait_for_room(tenant, n_events, n_bytes).await,
        }
    }

    async fn wait_for_room(
        &self,
        tenant: &TenantId,
        n_events: usize,
        n_bytes: usize,
    ) -> Result<Reservation, AcquireError> {
        let quota = self.quotas.take(tenant, self.n_permits(n_events, n_bytes)).await?;
        Ok(Reservation { n_events, quota: Arc::new(quota) })
    }

    pub(crate) fn try_reserve(
        &self,
        tenant: &TenantId,
        n_events: usize,
        n_bytes: usize,
    ) -> Result<Reservation, HubError> {
        let quota = self.quotas.try_take(tenant, self.n_permits(n_events, n_bytes));
        let full = HubError::Overloaded { n_events, waited: Duration::ZERO };
        Ok(Reservation { n_events, quota: Arc::new(quota.ok_or(full)?) })
    }

    /// Hands over to every shard. Events of several tenants part here: a batch is
    /// looked at as its first event's tenant from here on.
    ///
    /// Gives the outcome of each event for one user, but for those that are kept, in order: whether the user was reached
    /// here.
    pub(crate) fn deliver(
        &self,
        room: Reservation,
        events: &[impl AsRef<EncodedEvent>],
        placing: Placing,
    ) -> Vec<oneshot::Receiver<bool>> {
        self.deliver_at(room, events, None, placing, |_| ())
    }

    /// The same, and `hand_on` is called with each tenant's part while no other publisher of that
    /// tenant has its turn: what it does happens in the same order as the delivery here.
    pub(crate) fn deliver_and(
        &self,
        room: Reservation,
        events: &[impl AsRef<EncodedEvent>],
        except: Option<ConnectionId>,
        hand_on: impl FnMut(Range<usize>),
    ) -> Vec<oneshot::Receiver<bool>> {
        self.deliver_at(room, events, except, Placing::Next, hand_on)
    }

    fn deliver_at(
        &self,
        mut room: Reservation,
        events: &[impl AsRef<EncodedEvent>],
        except: Option<ConnectionId>,
        placing: Placing,
        mut hand_on: impl FnMut(Range<usize>),
    ) -> Vec<oneshot::Receiver<bool>> {
        debug_assert!(events.len() <= room.n_events, "more events than room was reserved for");
        self.shared.metrics.events.inc_by(events.len() as u64);
        let (mut outcomes, mut start) = (Vec::new(), 0);
        for events in events.chunk_by(|a, b| is_alike(a.as_ref(), b.as_ref())) {
            let share = room.split(events.len());
            let tenant = &events[0].as_ref().tenant;
            let is_anybody = || self.shared.connection_counts.n_tenant(tenant) > 0;
            let mut prepare = || events.iter().map(|event| prepare(event.as_ref(), except, &mut outcomes)).collect();
            let early = is_anybody().then(&mut prepare);
            let mut lock = self.shared.history.lock(tenant);
            // Whoever comes from here on finds them in history, and whoever was there before is asked about below.
            let is_retained = !events[0].as_ref().event_type.is_passing();
            let retained = events.iter().map(AsRef::as_ref);
            let first = match placing {
                Placing::Next => (is_retained && !self.shared.history.is_numbered()).then(|| lock.record(retained)),
                Placing::At(first) => lock.record_at(retained, first),
                Placing::Nowhere => None,
            };
            match early.or_else(|| is_anybody().then(prepare)) {
                Some(prepared) => self.deliver_batch(&share, &mut lock, first, &prepared),
                None => outcomes.extend(events.iter().filter(|event| event.as_ref().seeks_user()).map(|_| nobody())),
            }
            hand_on(start..start + events.len());
            start += events.len();
            let fold = first.and_then(|_| lock.fold());
            drop(lock);
            if let Some(fold) = fold {
                fold.catch_up();
                self.shared.history.check_folds();
            }
        }
        outcomes
    }

    /// Within the tenant's turn.
    fn deliver_batch(
        &self,
        room: &Reservation,
        lock: &mut TenantLock<'_>,
        first: Option<Place>,
        prepared: &Arc<[PreparedEvent]>,
    ) {
        // Within the turn, or somebody might get a later event and not this one.
        let interested_shards = self.shared.connection_counts.interested_shards(&prepared[0].event.tenant, prepared);
        if first.is_some() {
            let hears = interested_shards.iter().enumerate().filter(|(_, hears)| **hears);
            lock.handed_over(hears.map(|(shard, _)| shard));
        }
        for (mailbox, _) in self.mailboxes.iter().zip(interested_shards).filter(|(_, hears)| *hears) {
            let room = Arc::clone(&room.quota);
            let batch = Batch { number: 0, events: Arc::clone(prepared), first, n_taken: 0, _room: room };
            // There are as many places as permits, and each batch has one at least, so it is never full; it is closed when the node
            // goes down, and then there is nobody to deliver to.
            let _closed = mailbox.batches.try_send(batch);
        }
    }
}

/// Whether two events may share a batch.
fn is_alike(a: &EncodedEvent, b: &EncodedEvent) -> bool {
    a.tenant == b.tenant && a.event_type.is_passing() == b.event_type.is_passing()
}

/// One event ready for the shards.
fn prepare(
    event: &EncodedEvent,
    except: Option<ConnectionId>,
    outcomes: &mut Vec<oneshot::Receiver<bool>>,
) -> PreparedEvent {
    let receipt = event.seeks_user().then(|| {
        let (receipt, outcome) = DeliveryReceipt::new();
        outcomes.push(outcome);
        receipt
    });
    // Printed before it is cloned, so that every shard and the broker share it.
    event.envelope();
    PreparedEvent::new(event.clone(), except, receipt)
}

/// The outcome where nobody of the tenant is connected: the sender is gone.
fn nobody() -> oneshot::Receiver<bool> {
    oneshot::channel().1
}

impl Reservation {
    /// Parts room for `n_events` off; all of it is given back together.
    pub(crate) fn split(&mut self, n_events: usize) -> Self {
        let n_events = n_events.min(self.n_events);
        self.n_events -= n_events;
        Self { n_events, quota: Arc::clone(&self.quota) }
    }
}
