//! One tenant's fold: events are entered in the tenant's turn, and folded outside of it in the same order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use hookswitch_protocol::{Event, Position, Timestamp};
use hookswitch_state::{Record, State};
use tokio::time::Instant;

use crate::publish::weight::weight;

/// While the state is being read, publishers leave so much for others to fold before they wait for the reader.
const LEFT_BYTES: usize = 1024 * 1024;

/// A tenant's state, and the events that are not in it yet.
///
/// Whoever publishes holds room for the events until they are folded or left, so the tenant's quota bounds those beyond
/// [`LEFT_BYTES`].
#[derive(Debug)]
pub(crate) struct Fold {
    entered: Mutex<Entered>,
    state: Mutex<State>,
    n_bytes: AtomicUsize,
    /// Bytes of all tenants.
    total: Arc<AtomicUsize>,
    read_at: Mutex<Instant>,
}

/// Events in the order of their positions.
#[derive(Debug, Default)]
struct Entered {
    events: Vec<(Arc<Event>, Option<Position>)>,
    n_bytes: usize,
}

impl Fold {
    pub(crate) fn new(state: State, total: Arc<AtomicUsize>) -> Self {
        Self {
            entered: Mutex::default(),
            state: Mutex::new(state),
            n_bytes: AtomicUsize::new(0),
            total,
            read_at: Mutex::new(Instant::now()),
        }
    }

    /// Enters the next event, in the tenant's turn.
    pub(crate) fn enter(&self, event: &Arc<Event>, position: Option<Position>) {
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        entered.n_bytes += weight(event);
        entered.events.push((Arc::clone(event), position));
    }

    /// Folds what was entered. While somebody reads the state that is left for later, unless too much is.
    pub(crate) fn catch_up(&self) {
        match self.state.try_lock() {
            Ok(mut state) => self.fold_entered(&mut state),
            Err(TryLockError::Poisoned(poisoned)) => self.fold_entered(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if self.n_left() > LEFT_BYTES => self.fold_entered(&mut self.state()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Reads the state as it is `now`, with everything that was entered before.
    pub(crate) fn read<R>(&self, now: Timestamp, read: impl FnOnce(&State) -> R) -> R {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut state = self.state();
        self.fold_entered(&mut state);
        state.tick(now);
        read(&state)
    }

    /// When it was last read.
    pub(crate) fn read_at(&self) -> Instant {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn n_left(&self) -> usize {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner).n_bytes
    }

    /// Under the lock of the state, so that nobody else folds later events first.
    fn fold_entered(&self, state: &mut State) {
        let entered = std::mem::take(&mut *self.entered.lock().unwrap_or_else(PoisonError::into_inner));
        for (event, position) in &entered.events {
            state.apply(&Record::of_event(event, None, *position));
        }
        let now = state.n_bytes();
        let before = self.n_bytes.swap(now, Ordering::Relaxed);
        self.total.fetch_add(now, Ordering::Relaxed);
        self.total.fetch_sub(before, Ordering::Relaxed);
    }
}

impl Drop for Fold {
    fn drop(&mut self) {
        self.total.fetch_sub(self.n_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
