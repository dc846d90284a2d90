//! What came before everything that a node has of a tenant, as it is had from elsewhere.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::history::TenantLock;
use crate::seams::broker::Past;

impl TenantLock<'_> {
    /// Enters what came before the first event that is there. Asked for once in an epoch.
    pub(crate) fn fill_back(&mut self, past: Past) {
        let now = Instant::now();
        let (history, classes) = (self.history, &self.history.classes);
        let wall = history.clock.now();
        let known = self.known();
        let n_before = known.ring.n_bytes();
        known.ring.prepare_front();
        for received in past.events.into_iter().rev() {
            let (Some(position), class) = (received.position, classes.of(&received.event)) else { continue };
            let age = wall.as_millis().saturating_sub(received.event.timestamp.as_millis()).max(0).unsigned_abs();
            let at = now.checked_sub(Duration::from_millis(age)).unwrap_or(now);
            known.ring.push_before(position, received.event, class, at);
        }
        known.ring.holds_after(past.held_after, past.opt_in_held_after);
        known.filled = Some(past.held_after.epoch);
        let n_after = known.ring.n_bytes();
        history.n_bytes.fetch_add(n_after.saturating_sub(n_before), Ordering::Relaxed);
        history.n_bytes.fetch_sub(n_before.saturating_sub(n_after), Ordering::Relaxed);
        self.trim(now);
    }
}
