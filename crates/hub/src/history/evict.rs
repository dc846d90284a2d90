//! Lets go of history that is too old, too much over all tenants, or of tenants that nobody has heard of for long.

use std::sync::PoisonError;
use std::time::Duration;

use hookswitch_protocol::TenantId;
use tokio::time::Instant;

use crate::history::History;
use crate::metrics::HubMetrics;
use crate::publish::connection_counts::ConnectionCounts;

/// How often tenants without new events are looked at.
const ROUND: Duration = Duration::from_secs(30);

/// A tenant is forgotten with its place in the order when nobody was connected and nothing happened for so long.
const FORGET_AFTER: Duration = Duration::from_hours(24);

impl History {
    /// Keeps all bounds that publishing itself does not; until it is dropped.
    pub(crate) async fn evict(&self, counts: &ConnectionCounts, metrics: &HubMetrics) {
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            tokio::select! {
                () = self.is_over.notified() => self.free_least_used(),
                _ = rounds.tick() => self.trim_all(counts),
            }
            metrics.states_evicted.inc_by(self.evict_folds());
        }
    }

    fn trim_all(&self, counts: &ConnectionCounts) {
        let now = Instant::now();
        for stripe in &self.stripes {
            let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut n_freed, mut forgotten) = (0, stripe.forgotten);
            stripe.tenants.retain(|tenant, known| {
                n_freed += known.ring.trim(&self.limits, now);
                let is_idle = now.duration_since(known.used_at) > FORGET_AFTER && counts.n_tenant(tenant) == 0;
                if is_idle {
                    n_freed += known.ring.free(usize::MAX);
                    forgotten = forgotten.max(known.ring.head().seq);
                }
                !is_idle
            });
            stripe.forgotten = forgotten;
            self.n_bytes.fetch_sub(n_freed, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Frees an eighth of what there may be, so that it is not done for every event.
    fn free_least_used(&self) {
        let wanted = self.limits.total_bytes / 8 * 7;
        let mut all: Vec<(Instant, TenantId)> = Vec::new();
        for stripe in &self.stripes {
            let stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            let holders = stripe.tenants.iter().filter(|(_, known)| known.ring.len() > 0);
            all.extend(holders.map(|(tenant, known)| (known.used_at, tenant.clone())));
        }
        all.sort_unstable_by_key(|(used_at, _)| *used_at);
        for (used_at, tenant) in all {
            let n_over = self.n_bytes().saturating_sub(wanted);
            if n_over == 0 {
                return;
            }
            let mut lock = self.lock(&tenant);
            let known = lock.known();
            // Somebody has used it meanwhile.
            if known.used_at > used_at {
                continue;
            }
            let n_freed = known.ring.free(n_over);
            known.filled = None;
            self.n_bytes.fetch_sub(n_freed, std::sync::atomic::Ordering::Relaxed);
            tracing::debug!(%tenant, n_freed, "recent history makes room for that of other tenants");
        }
    }
}
