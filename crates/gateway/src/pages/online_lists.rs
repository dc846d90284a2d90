//! Who is online, found out and sorted once for all who ask at the same time.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hookswitch_hub::PresenceError;
use hookswitch_protocol::{TenantId, UserId};
use hookswitch_runtime::{FairSemaphore, Sharing};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Lists made at a time; of one tenant only one.
const AT_ONCE: u64 = 4;
/// How long a caller waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// A list that took so long to make is followed by a rest of so many times that: a tenant that asks without end has a
/// fifth of one thread by it.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// A list as it stands in an answer.
pub(super) type List = Arc<RawValue>;

/// Why there is no list.
#[derive(Debug)]
pub(super) enum ListError {
    Presence(PresenceError),
    /// It was waited for too long.
    Overloaded,
    /// The node ends.
    Ending,
}

/// The tenants' lists while somebody asks for them.
#[derive(Debug)]
pub(crate) struct OnlineLists {
    room: FairSemaphore<TenantId>,
    newest: std::sync::Mutex<HashMap<TenantId, Arc<Mutex<Newest>>>>,
}

/// The list of a tenant that was made last.
#[derive(Debug, Default)]
struct Newest {
    made: Option<(Instant, List)>,
    rests_until: Option<Instant>,
}

impl Default for OnlineLists {
    fn default() -> Self {
        let room = FairSemaphore::new(AT_ONCE, Sharing { alpha: 1, waiting: AT_ONCE });
        Self { room, newest: std::sync::Mutex::default() }
    }
}

impl OnlineLists {
    /// A list that was begun after this call. Of those who wait for one, the first has it made by `find`. Cancel safe.
    pub(super) async fn get<F>(&self, tenant: &TenantId, find: impl FnOnce() -> F) -> Result<List, ListError>
    where
        F: Future<Output = Result<Vec<UserId>, PresenceError>>,
    {
        let asked = Instant::now();
        let newest = self.of(tenant);
        let found = async {
            let mut newest = newest.lock().await;
            match &newest.made {
                Some((began, list)) if *began >= asked => Ok(Arc::clone(list)),
                _ => newest.make(&self.room, tenant, find).await,
            }
        };
        let found = timeout(PATIENCE, found).await.unwrap_or(Err(ListError::Overloaded));
        drop(newest);
        self.forget_unused();
        found
    }

    fn of(&self, tenant: &TenantId) -> Arc<Mutex<Newest>> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(newest.entry(tenant.clone()).or_default())
    }

    /// Lists that nobody waits for, and that need no rest, are of no use to anybody.
    fn forget_unused(&self) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.retain(|_, one| Arc::strong_count(one) > 1 || one.try_lock().is_ok_and(|one| one.is_resting()));
    }
}

impl Newest {
    fn is_resting(&self) -> bool {
        self.rests_until.is_some_and(|until| until > Instant::now())
    }

    async fn make<F>(
        &mut self,
        room: &FairSemaphore<TenantId>,
        tenant: &TenantId,
        find: impl FnOnce() -> F,
    ) -> Result<List, ListError>
    where
        F: Future<Output = Result<Vec<UserId>, PresenceError>>,
    {
        if let Some(until) = self.rests_until {
            tokio::time::sleep_until(until).await;
        }
        let permit = room.acquire(tenant, 1).await.map_err(|_| ListError::Overloaded)?;
        let began = Instant::now();
        let users = find().await.map_err(ListError::Presence)?;
        // A hundred thousand ids take tens of milliseconds, which are not those of whoever is served beside.
        let sorting = tokio::task::spawn_blocking(move || (sorted(users), permit));
        let (list, _permit) = sorting.await.map_err(|_| ListError::Ending)?;
        self.rests_until = Some(Instant::now() + (began.elapsed() * REST).min(LONGEST_REST));
        self.made = Some((began, Arc::clone(&list)));
        Ok(list)
    }
}

fn sorted(mut users: Vec<UserId>) -> List {
    users.sort_unstable();
    // Only a map with keys that are not text can fail.
    to_raw_value(&users).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("a tenant")
    }

    #[tokio::test]
    async fn who_asks_at_the_same_time_shares_one_list_and_it_is_never_older_than_the_question() {
        let (lists, n_made) = (OnlineLists::default(), AtomicUsize::new(0));
        let find = || async {
            let n = n_made.fetch_add(1, Ordering::Relaxed) as i64;
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(vec![UserId::from(7), UserId::from(n + 1)])
        };
        let busy = tenant("busy");
        let all = join_all((0..2_000).map(|_| lists.get(&busy, find))).await;
        assert!(all.iter().all(Result::is_ok));
        assert!(n_made.load(Ordering::Relaxed) <= 2, "{n_made:?} lists for 2,000 callers");
        let n_before = n_made.load(Ordering::Relaxed);
        let later = lists.get(&busy, find).await.expect("a list");
        assert_eq!(later.get(), format!("[{},7]", n_before + 1), "a new one, sorted");
    }

    #[tokio::test]
    async fn a_tenant_that_asks_without_end_is_in_no_others_way_and_leaves_nothing_behind() {
        let lists = OnlineLists::default();
        let (busy, quiet) = (tenant("busy"), tenant("quiet"));
        let slow = || async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            Ok(Vec::new())
        };
        let mut hanging = std::pin::pin!(join_all((0..100).map(|_| lists.get(&busy, slow))));
        assert!(timeout(Duration::from_millis(50), hanging.as_mut()).await.is_err());
        let quick = || std::future::ready(Ok(vec![UserId::from(1)]));
        let list = timeout(Duration::from_secs(4), lists.get(&quiet, quick)).await.expect("at once").expect("a list");
        assert_eq!(list.get(), "[1]");
        assert!(lists.newest.lock().expect("no panic").len() <= 2);
    }
}
