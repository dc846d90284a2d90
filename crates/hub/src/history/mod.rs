//! Recent history: the last events of each tenant, for connections that missed some.
//!
//! Each event of a tenant has a *sequence number* of this node, dense and never used again. It is what connections
//! count by, whoever gives positions; a *position* is what clients are told and holds on any node.

pub(crate) mod classes;
pub(crate) mod evict;
mod folds;
pub(crate) mod former;
pub(crate) mod limits;
mod past;
pub(crate) mod place;
pub(crate) mod recoveries;
pub(crate) mod ring;
mod saved;
pub(crate) mod size;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::{EventId, Position, SessionKey, TenantId};
use hookswitch_runtime::Clock;
use indexmap::IndexMap;
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::history::classes::{Class, EventClasses};
use crate::history::limits::HistoryLimits;
use crate::history::place::{Place, Unrecovered};
use crate::history::ring::{Page, Recorded, Ring};
use crate::live_state::fold::Fold;
use crate::live_state::limits::StateLimits;
use crate::publish::weight::weight;
use crate::seams::broker::EncodedEvent;

/// Tenants are spread over so many locks.
const STRIPES: usize = 64;

/// Bits of an epoch that are random, so that two that begin in the same millisecond differ; the others are the time.
const RANDOM_BITS: u32 = 22;

/// Every tenant's recent events on this node, and the turn of whoever publishes.
#[derive(Debug)]
pub(crate) struct History {
    clock: Clock,
    limits: HistoryLimits,
    classes: EventClasses,
    /// Whether this node gives the positions: it has nobody to agree with.
    numbers: AtomicBool,
    /// Whether positions come with the events: what has none is not kept.
    is_numbered: AtomicBool,
    /// Whether others may have events that are not known here.
    is_cut_off: AtomicBool,
    stripes: [Mutex<Stripe>; STRIPES],
    hasher: RandomState,
    n_bytes: AtomicUsize,
    state_limits: StateLimits,
    /// Bytes of all tenants' live state.
    fold_bytes: Arc<AtomicUsize>,
    /// There is more than there may be, over all tenants.
    is_over: Notify,
}

/// The tenants behind one lock.
#[derive(Debug, Default)]
struct Stripe {
    tenants: IndexMap<TenantId, TenantHistory>,
    /// The greatest sequence number of a tenant that was forgotten: whoever comes anew begins behind it.
    forgotten: u64,
}

/// What is known of one tenant's events.
#[derive(Debug)]
struct TenantHistory {
    ring: Ring,
    /// The sequence number of the last batch that each shard was given.
    handed_over: SmallVec<[u64; 4]>,
    /// Of which epoch everything that is held anywhere was entered.
    filled: Option<u64>,
    /// What they add up to, once somebody asked.
    fold: Option<Arc<Fold>>,
    used_at: Instant,
}

impl TenantHistory {
    fn new(ring: Ring) -> Self {
        Self { ring, handed_over: SmallVec::new(), filled: None, fold: None, used_at: Instant::now() }
    }
}

/// The end of a tenant's history, as one shard sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) place: Place,
    /// The last event that the shard was given: what came behind it is for nobody there.
    pub(crate) handed_over: u64,
}

impl History {
    pub(crate) fn new(limits: HistoryLimits, states: StateLimits, classes: EventClasses, clock: Clock) -> Self {
        Self {
            clock,
            limits,
            classes,
            numbers: AtomicBool::new(false),
            is_numbered: AtomicBool::new(false),
            is_cut_off: AtomicBool::new(false),
            stripes: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            n_bytes: AtomicUsize::new(0),
            state_limits: states,
            fold_bytes: Arc::default(),
            is_over: Notify::new(),
        }
    }

    /// From now on this node gives the positions: it has nobody to agree with. Before the first event.
    pub(crate) fn give_positions(&self) {
        self.numbers.store(true, Ordering::Release);
    }

    /// From now on events come with their positions, which the nodes agree upon. Before the first event.
    pub(crate) fn take_positions(&self) {
        self.is_numbered.store(true, Ordering::Release);
    }

    /// Whether others may have events that are not known here: nobody who comes back can be promised anything.
    pub(crate) fn cut_off(&self, is_cut_off: bool) {
        self.is_cut_off.store(is_cut_off, Ordering::Release);
    }

    /// Whether an event that has no position is not kept.
    pub(crate) fn is_numbered(&self) -> bool {
        self.is_numbered.load(Ordering::Acquire)
    }

    /// The tenant's turn, which one publisher has at a time: what happens within it has one order, for every
    /// connection, for recent history and for the other nodes. Whoever reads history waits for it too, for the
    /// length of a page.
    pub(crate) fn lock<'a>(&'a self, tenant: &'a TenantId) -> TenantLock<'a> {
        let at = self.hasher.hash_one(tenant) as usize % STRIPES;
        let stripe = self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner);
        TenantLock { history: self, stripe, tenant, index: None }
    }

    /// Where the tenant's history ends.
    pub(crate) fn head(&self, tenant: &TenantId, shard: u8) -> Head {
        let mut lock = self.lock(tenant);
        let known = lock.known();
        let handed_over = known.handed_over.get(usize::from(shard)).copied().unwrap_or_default();
        Head { place: known.ring.head(), handed_over }
    }

    /// The same for whoever is no shard.
    pub(crate) fn end(&self, tenant: &TenantId) -> Place {
        self.lock(tenant).known().ring.head()
    }

    /// Up to `n_events` events behind the one with this number, of this shard's tenant.
    pub(crate) fn page(&self, tenant: &TenantId, after: u64, n_events: usize) -> Page {
        let mut lock = self.lock(tenant);
        lock.trim(Instant::now());
        let known = lock.known();
        known.used_at = Instant::now();
        known.ring.page(after, n_events)
    }

    /// Up to `n_events` urgent events behind the one with this number.
    pub(crate) fn urgent(&self, tenant: &TenantId, after: u64, n_events: usize) -> Vec<Recorded> {
        self.lock(tenant).known().ring.urgent(after, n_events)
    }

    /// The place of the event at this position, unless events behind it cannot be given any more. `None` is what a
    /// client said that is no position.
    pub(crate) fn find(
        &self,
        tenant: &TenantId,
        position: Option<Position>,
        wants_opt_in: bool,
    ) -> Result<Place, Unrecovered> {
        if self.is_cut_off.load(Ordering::Acquire) {
            return Err(Unrecovered::Degraded);
        }
        let mut lock = self.lock(tenant);
        lock.trim(Instant::now());
        lock.known().ring.find(position, wants_opt_in)
    }

    /// Whether what a client missed may yet be had from elsewhere, and with the past or not: with what came before all
    /// that is here.
    pub(crate) fn may_recover(&self, tenant: &TenantId, reason: Unrecovered) -> Option<bool> {
        let is_filled = || {
            let mut lock = self.lock(tenant);
            let known = lock.known();
            known.filled.is_some() && known.filled == known.ring.head().position.map(|head| head.epoch)
        };
        match reason {
            _ if !self.is_numbered() || self.is_cut_off.load(Ordering::Acquire) => None,
            Unrecovered::Expired => (!is_filled()).then_some(true),
            // Another node may be further.
            Unrecovered::Epoch | Unrecovered::Degraded => Some(false),
            Unrecovered::TooFar => None,
        }
    }

    /// How long an event of the tenant is kept, at the rate at which they come now.
    pub(crate) fn reach(&self, tenant: &TenantId) -> Duration {
        let mut lock = self.lock(tenant);
        lock.known().ring.reach(Instant::now()).unwrap_or(self.limits.age)
    }

    /// The place before the last start of the chat session, as far as that is kept.
    pub(crate) fn before_session(&self, tenant: &TenantId, session: &SessionKey) -> Option<Place> {
        self.lock(tenant).known().ring.before_session(session)
    }

    /// Looks at every event that is kept behind the first number, up to the second.
    pub(crate) fn for_each_between(&self, tenant: &TenantId, between: (u64, u64), look: impl FnMut(&Recorded)) {
        self.lock(tenant).known().ring.between(between).for_each(look);
    }

    /// What the events behind the one with this number weigh that are looked for; not looked through where all that is
    /// kept weighs no more than `enough`.
    pub(crate) fn weight_behind(
        &self,
        tenant: &TenantId,
        after: u64,
        enough: usize,
        is_looked_for: impl Fn(&Recorded) -> bool,
    ) -> usize {
        let mut lock = self.lock(tenant);
        let ring = &lock.known().ring;
        if ring.n_bytes() <= enough {
            return ring.n_bytes();
        }
        let looked_for = ring.between((after, u64::MAX)).filter(|recorded| is_looked_for(recorded));
        looked_for.map(|recorded| weight(&recorded.event)).sum()
    }

    /// The event with this id, as far as it is remembered: what it was, its place, and whether it is kept.
    pub(crate) fn remembered(&self, tenant: &TenantId, id: &EventId) -> Option<(EncodedEvent, Place, bool)> {
        let mut lock = self.lock(tenant);
        lock.trim(Instant::now());
        lock.known().ring.remembered(tenant, id)
    }

    /// The place with this number.
    pub(crate) fn place(&self, tenant: &TenantId, seq: u64) -> Place {
        self.lock(tenant).known().ring.place(seq)
    }

    /// Bytes of all tenants' events.
    pub(crate) fn n_bytes(&self) -> usize {
        self.n_bytes.load(Ordering::Relaxed)
    }

    /// Events of all tenants.
    pub(crate) fn n_events(&self) -> usize {
        let n_events = |stripe: &Mutex<Stripe>| {
            let stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            stripe.tenants.values().map(|known| known.ring.len()).sum::<usize>()
        };
        self.stripes.iter().map(n_events).sum()
    }

    fn for_each_tenant(&self, mut look: impl FnMut(&TenantId, &TenantHistory)) {
        for stripe in &self.stripes {
            let stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            stripe.tenants.iter().for_each(|(tenant, known)| look(tenant, known));
        }
    }

    /// The place before the first event of a tenant that nothing is known of.
    fn beginning(&self, seq: u64) -> Place {
        let millis = self.clock.now().as_millis().unsigned_abs();
        let random = RandomState::new().hash_one(seq) & ((1 << RANDOM_BITS) - 1);
        let begins = Position { epoch: millis << RANDOM_BITS | random, offset: 0 };
        Place { seq, position: self.numbers.load(Ordering::Acquire).then_some(begins) }
    }
}

/// One publisher's turn of a tenant.
pub(crate) struct TenantLock<'a> {
    history: &'a History,
    stripe: MutexGuard<'a, Stripe>,
    tenant: &'a TenantId,
    /// Where the tenant stands in the stripe, looked up once; nobody is taken out meanwhile.
    index: Option<usize>,
}

impl TenantLock<'_> {
    fn known(&mut self) -> &mut TenantHistory {
        let Stripe { tenants, forgotten } = &mut *self.stripe;
        let index = *self.index.get_or_insert_with(|| {
            tenants.get_index_of(self.tenant).unwrap_or_else(|| {
                let ring = Ring::starting_at(self.history.beginning(*forgotten));
                tenants.insert_full(self.tenant.clone(), TenantHistory::new(ring)).0
            })
        });
        &mut tenants[index]
    }

    /// Everything behind this position comes from here on.
    pub(crate) fn begin_behind(&mut self, base: Position) {
        // Where events that were given earlier still wait for room, they say the same.
        let _is_later = self.known().ring.go_on_behind(base);
    }

    /// Enters events at their positions, which follow the first one's; gives the place of the first. `None` where later
    /// ones were entered already.
    pub(crate) fn record_at<'e>(
        &mut self,
        events: impl Iterator<Item = &'e EncodedEvent>,
        first: Position,
    ) -> Option<Place> {
        let before = Position { offset: first.offset.saturating_sub(1), ..first };
        self.known().ring.go_on_behind(before).then(|| self.record(events))
    }

    /// The same for events that everybody here was given before they had their places.
    pub(crate) fn record_live_at<'e>(&mut self, events: impl Iterator<Item = &'e EncodedEvent>, first: Position) {
        let before = Position { offset: first.offset.saturating_sub(1), ..first };
        if self.known().ring.go_on_behind(before) {
            self.record_with(events, Ring::push_live);
        }
    }

    /// Enters events behind the last one; gives the place of the first.
    pub(crate) fn record<'e>(&mut self, events: impl Iterator<Item = &'e EncodedEvent>) -> Place {
        self.record_with(events, Ring::push)
    }

    fn record_with<'e>(
        &mut self,
        events: impl Iterator<Item = &'e EncodedEvent>,
        push: fn(&mut Ring, EncodedEvent, Class, Instant),
    ) -> Place {
        let now = Instant::now();
        let classes = &self.history.classes;
        let known = self.known();
        known.used_at = now;
        let first = known.ring.head().plus(1);
        let n_before = known.ring.n_bytes();
        for event in events {
            push(&mut known.ring, event.clone(), classes.of(event), now);
            if let Some(fold) = &known.fold {
                fold.enter(event.event(), known.ring.head().position);
            }
        }
        let n_after = known.ring.n_bytes();
        self.history.n_bytes.fetch_add(n_after - n_before, Ordering::Relaxed);
        self.trim(now);
        first
    }

    /// The shard is given what was recorded up to now.
    pub(crate) fn handed_over(&mut self, shards: impl Iterator<Item = usize>) {
        let known = self.known();
        let last = known.ring.head().seq;
        for shard in shards {
            if known.handed_over.len() <= shard {
                known.handed_over.resize(shard + 1, 0);
            }
            known.handed_over[shard] = last;
        }
    }

    /// Lets go of what is over a bound.
    fn trim(&mut self, now: Instant) {
        let (history, limits) = (self.history, self.history.limits);
        let known = self.known();
        let mut n_freed = known.ring.trim(&limits, now);
        // The evictor takes from those that were not used for longest; where it does not keep up, each tenant pays
        // for its own.
        let n_all = history.n_bytes.load(Ordering::Relaxed) - n_freed;
        if n_all > limits.total_bytes {
            history.is_over.notify_one();
            known.filled = None;
            n_freed += known.ring.free(n_all.saturating_sub(limits.total_bytes / 8 * 9));
        }
        history.n_bytes.fetch_sub(n_freed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
