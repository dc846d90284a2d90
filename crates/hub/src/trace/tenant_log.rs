//! The last things of each tenant, within bounds of bytes and time in which no tenant takes another's part.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookswitch_protocol::TenantId;
use tokio::time::Instant;

/// One tenant may have this part of all there is.
const TENANT_PART: usize = 16;

/// How often everybody's old ones are looked for.
const SWEEP: Duration = Duration::from_mins(1);

/// What takes memory.
pub(crate) trait Weighed {
    /// How many bytes, about.
    fn weight(&self) -> usize;
}

/// The last entries of each tenant: the oldest of a tenant go beyond its part, those of the tenant with the most beyond
/// the whole, and each when it is too old.
#[derive(Debug)]
pub(crate) struct TenantLog<T> {
    n_bytes: usize,
    age: Duration,
    entries: Mutex<Entries<T>>,
}

#[derive(Debug)]
struct Entries<T> {
    tenants: HashMap<TenantId, Part<T>>,
    /// The same tenants: who has most comes last, and of equal ones the one that was quiet for longest.
    by_bytes: BTreeSet<(usize, Reverse<u64>, TenantId)>,
    n_pushed: u64,
    n_bytes: usize,
    swept_at: Instant,
}

#[derive(Debug)]
struct Part<T> {
    entries: VecDeque<(Instant, T)>,
    n_bytes: usize,
    /// The number of the newest entry, over all tenants.
    pushed: u64,
}

impl<T: Weighed> TenantLog<T> {
    pub(crate) fn new(n_bytes: usize, age: Duration) -> Self {
        let (tenants, by_bytes) = (HashMap::new(), BTreeSet::new());
        let entries = Entries { tenants, by_bytes, n_pushed: 0, n_bytes: 0, swept_at: Instant::now() };
        Self { n_bytes, age, entries: Mutex::new(entries) }
    }

    /// Adds the newest.
    pub(crate) fn push(&self, tenant: &TenantId, entry: T) {
        let now = Instant::now();
        let mut entries = self.locked();
        if now.duration_since(entries.swept_at) >= SWEEP {
            entries.swept_at = now;
            let tenants: Vec<TenantId> = entries.tenants.keys().cloned().collect();
            for tenant in tenants {
                entries.change(&tenant, |part| part.forget_before(now.checked_sub(self.age)));
            }
        }
        entries.n_pushed += 1;
        let pushed = entries.n_pushed;
        entries.change(tenant, |part| {
            part.pushed = pushed;
            part.n_bytes += entry.weight();
            part.entries.push_back((now, entry));
            while part.n_bytes > self.n_bytes / TENANT_PART && part.pop() {}
        });
        while entries.n_bytes > self.n_bytes {
            let Some((.., heaviest)) = entries.by_bytes.last().cloned() else { break };
            entries.change(&heaviest, |part| _ = part.pop());
        }
    }

    /// Looks at the tenant's entries, newest first, and keeps what `look` makes of them, up to so many.
    pub(crate) fn newest<R>(&self, tenant: &TenantId, most: usize, look: impl FnMut(&T) -> Option<R>) -> Vec<R> {
        let oldest = Instant::now().checked_sub(self.age);
        let entries = self.locked();
        let part = entries.tenants.get(tenant).into_iter().flat_map(|part| part.entries.iter().rev());
        let fresh = part.take_while(|(at, _)| oldest.is_none_or(|oldest| *at >= oldest)).map(|(_, entry)| entry);
        fresh.filter_map(look).take(most).collect()
    }

    fn locked(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Weighed> Entries<T> {
    /// Does something to one tenant's, and keeps the sums.
    fn change(&mut self, tenant: &TenantId, change: impl FnOnce(&mut Part<T>)) {
        let empty = || Part { entries: VecDeque::new(), n_bytes: 0, pushed: 0 };
        let part = self.tenants.entry(tenant.clone()).or_insert_with(empty);
        let (before, was_pushed) = (part.n_bytes, part.pushed);
        change(part);
        let (after, pushed, is_empty) = (part.n_bytes, part.pushed, part.entries.is_empty());
        self.n_bytes = self.n_bytes + after - before;
        self.by_bytes.remove(&(before, Reverse(was_pushed), tenant.clone()));
        if is_empty {
            self.tenants.remove(tenant);
        } else {
            self.by_bytes.insert((after, Reverse(pushed), tenant.clone()));
        }
    }
}

impl<T: Weighed> Part<T> {
    fn pop(&mut self) -> bool {
        let Some((_, oldest)) = self.entries.pop_front() else { return false };
        self.n_bytes -= oldest.weight();
        true
    }

    fn forget_before(&mut self, oldest: Option<Instant>) {
        while self.entries.front().is_some_and(|(at, _)| oldest.is_some_and(|oldest| *at < oldest)) {
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for u64 {
        fn weight(&self) -> usize {
            16
        }
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("legal")
    }

    fn all(log: &TenantLog<u64>, of: &str) -> Vec<u64> {
        log.newest(&tenant(of), usize::MAX, |entry| Some(*entry))
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_pushes_out_its_own_and_the_heaviest_pays_for_the_whole() {
        let log = TenantLog::new(16 * 32, Duration::from_mins(10));
        log.push(&tenant("quiet"), 0);
        for n in 0..1_000 {
            log.push(&tenant("busy"), n);
        }
        assert_eq!(all(&log, "busy"), [999, 998], "a sixteenth of all");
        for other in 0..40 {
            log.push(&tenant(&format!("t{other}")), 1);
            log.push(&tenant(&format!("t{other}")), 2);
        }
        assert!(log.locked().n_bytes <= 16 * 32);
        let n_bytes: usize = log.locked().tenants.values().map(|part| part.n_bytes).sum();
        assert_eq!(log.locked().n_bytes, n_bytes);
        assert_eq!(all(&log, "t39"), [2], "the newest of whoever came last is there");
        assert!(all(&log, "nobody").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_is_not_shown_and_goes() {
        let log = TenantLog::new(1024, Duration::from_mins(10));
        log.push(&tenant("a"), 1);
        tokio::time::advance(Duration::from_mins(9)).await;
        log.push(&tenant("a"), 2);
        assert_eq!(all(&log, "a"), [2, 1]);
        tokio::time::advance(Duration::from_mins(2)).await;
        assert_eq!(all(&log, "a"), [2]);
        log.push(&tenant("b"), 3);
        assert_eq!(log.locked().n_bytes, 32, "the old one went with somebody else's new one");
    }
}
