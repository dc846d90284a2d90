//! Tells whoever subscribed to it who came and who went.
//!
//! Telling takes room in the tenant's share of the mailboxes, for which a tenant that publishes more than
//! can be delivered has to wait. Nobody who connects waits with it: a change is noted, and a task per
//! tenant that has any tells them in their order.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt as _;
use hookswitch_protocol::payloads::PresenceChanged;
use hookswitch_protocol::{Chain, Event, TenantId, UserId};
use hookswitch_runtime::{Clock, Scope};
use smallvec::SmallVec;
use tokio::runtime::Handle;

use crate::publish::fanout::{Fanout, Reservation};
use crate::seams::broker::{Broker, Publication};
use crate::seams::presence::PresenceChange;

/// Changes of presence on their way to whoever asked for them.
pub(crate) struct PresenceNotices {
    fanout: Arc<Fanout>,
    broker: Arc<dyn Broker>,
    clock: Clock,
    scope: Scope,
    /// Not that of whoever notes a change, which may be a shard's.
    runtime: Handle,
    /// A tenant's entry stands for the one task that tells its changes; it takes it away with the last.
    untold: Mutex<HashMap<TenantId, Untold>>,
    this: Weak<Self>,
}

/// One tenant's changes in their order: of each user two at most, a coming and a going or the reverse. A
/// third change takes the place of both, so that what is told last is always how it is.
#[derive(Debug, Default)]
struct Untold {
    changes: BTreeMap<u64, PresenceChange>,
    by_user: HashMap<UserId, SmallVec<[u64; 2]>>,
    n_noted: u64,
}

impl Untold {
    /// Gives how many changes are left out for it.
    fn note(&mut self, change: PresenceChange) -> usize {
        self.n_noted += 1;
        let numbers = self.by_user.entry(change.user.user.clone()).or_default();
        let n_left_out = if numbers.len() < 2 { 0 } else { numbers.len() };
        for number in numbers.drain(..n_left_out) {
            self.changes.remove(&number);
        }
        numbers.push(self.n_noted);
        self.changes.insert(self.n_noted, change);
        n_left_out
    }

    fn take_first(&mut self) -> Option<PresenceChange> {
        let (number, change) = self.changes.pop_first()?;
        if let Some(numbers) = self.by_user.get_mut(&change.user.user) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_user.remove(&change.user.user);
            }
        }
        Some(change)
    }
}

impl PresenceNotices {
    /// # Panics
    /// Outside a tokio runtime, on which it will tell.
    pub(crate) fn new(fanout: Arc<Fanout>, broker: Arc<dyn Broker>, clock: Clock, scope: Scope) -> Arc<Self> {
        let runtime = Handle::current();
        Arc::new_cyclic(|this| Self {
            fanout,
            broker,
            clock,
            scope,
            runtime,
            untold: Mutex::default(),
            this: Weak::clone(this),
        })
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<TenantId, Untold>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes that nobody was told of yet.
    pub(crate) fn n_untold(&self) -> usize {
        self.untold().values().map(|untold| untold.changes.len()).sum()
    }

    /// Has a change told behind those of its tenant that were noted before, at once where there is room. Never
    /// waits.
    pub(crate) fn note(&self, change: PresenceChange) {
        let tenant = change.user.tenant.clone();
        let is_behind = self.untold().contains_key(&tenant);
        if !is_behind && let Ok(room) = self.fanout.try_reserve(&tenant, 1, 0) {
            return self.tell_now(room, change);
        }
        let mut untold = self.untold();
        let is_first = !untold.contains_key(&tenant);
        let n_left_out = untold.entry(tenant.clone()).or_default().note(change);
        drop(untold);
        self.fanout.shared.metrics.presence_left_out.inc_by(n_left_out as u64);
        if is_first && let Some(this) = self.this.upgrade() {
            let telling = async move { this.tell_all(&tenant).await };
            self.scope.spawn_contained_on(&self.runtime, "presence notices", telling);
        }
    }

    /// Tells here, and begins to tell the other nodes; what that takes is not waited for.
    fn tell_now(&self, room: Reservation, change: PresenceChange) {
        let Some(this) = self.this.upgrade() else { return };
        let mut telling = Box::pin(async move { this.tell(room, change).await });
        if telling.as_mut().now_or_never().is_none() {
            self.scope.spawn_contained_on(&self.runtime, "presence notices", telling);
        }
    }

    /// Tells a tenant's changes until there are none.
    async fn tell_all(&self, tenant: &TenantId) {
        while self.has_untold(tenant) {
            let Ok(room) = self.fanout.reserve_in_turn(tenant, 1, 0).await else { return };
            let change = self.untold().get_mut(tenant).and_then(Untold::take_first);
            if let Some(change) = change {
                self.tell(room, change).await;
            }
        }
    }

    /// Whether there are any; forgets the tenant if not, under the same lock.
    fn has_untold(&self, tenant: &TenantId) -> bool {
        let mut untold = self.untold();
        let has_any = untold.get(tenant).is_some_and(|untold| !untold.changes.is_empty());
        if !has_any {
            untold.remove(tenant);
        }
        has_any
    }

    async fn tell(&self, room: Reservation, change: PresenceChange) {
        let PresenceChange { user, state, cause } = change;
        let payload = PresenceChanged { user_id: user.user.clone(), state, cause };
        let event = Event::new(user.tenant.clone(), payload.into(), self.clock.now());
        let publication = [Publication::new(event)];
        let mut sending = None;
        if self.broker.gives_positions() {
            // It comes back with its position.
            drop(room);
            sending = Some(self.broker.publish(&publication));
        } else {
            let hand_on = |_| sending = Some(self.broker.publish(&publication));
            drop(self.fanout.deliver_and(room, &publication, None, hand_on));
        }
        if let Some(sending) = sending
            && let Err(error) = sending.await
        {
            self.fanout.shared.metrics.broker_failures.inc();
            tracing::warn!(tenant = %user.tenant, error = %Chain(&error), "other nodes miss a change of presence");
        }
    }
}

impl fmt::Debug for PresenceNotices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceNotices").field("n_untold", &self.n_untold()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::payloads::{PresenceCause, PresenceWord};

    use super::*;
    use crate::seams::user_key::UserKey;

    fn change(user: i64, state: PresenceWord) -> PresenceChange {
        let user = UserKey { tenant: TenantId::parse("t").expect("legal"), user: UserId::from(user) };
        PresenceChange { user, state, cause: PresenceCause::Connected }
    }

    #[test]
    fn order_is_kept_and_a_flapping_user_takes_two_places_at_most() {
        use PresenceWord::{Offline, Online};
        let mut untold = Untold::default();
        for (user, state) in [(1, Online), (2, Online), (1, Offline), (3, Online)] {
            assert_eq!(untold.note(change(user, state)), 0);
        }
        assert_eq!(untold.note(change(1, Online)), 2, "its coming and going are left out for the coming again");
        let mut told = Vec::new();
        while let Some(change) = untold.take_first() {
            told.push((change.user.user, change.state));
        }
        assert_eq!(told, [(2.into(), Online), (3.into(), Online), (1.into(), Online)]);
        assert!(untold.by_user.is_empty());
        for n in 0..1_001 {
            untold.note(change(7, if n % 2 == 0 { Online } else { Offline }));
        }
        let last = std::iter::from_fn(|| untold.take_first()).last();
        assert_eq!(last.map(|change| change.state), Some(Online), "the last is told whatever was left out");
    }
}
