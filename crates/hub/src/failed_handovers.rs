//! Which kept messages their users' clients did not survive.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hookswitch_protocol::{TenantId, UserId};

use crate::seams::user_key::UserKey;

/// A message that ended so many connections by itself is set aside.
const SURVIVED_NOT: u8 = 2;

/// Only what is larger than this is blamed: a connection may end at any moment, and no client ends it for a small
/// message.
const SUSPECT_BYTES: usize = 64 * 1024;

/// Most users of whom failures are remembered; beyond it those of some other are forgotten, one of the tenant that has
/// the most.
const MOST_USERS: usize = 10_000;

/// Pages whose connection was ended by its client before it had them, by user, on this node.
///
/// One message may be more than a client takes: a megabyte, where its library reads no more than that. It dies,
/// comes back, is handed the same page, and never sees what stands behind it. So what stood in such a page is
/// handed over one by one, and what ended a connection twice by itself is set aside.
#[derive(Debug, Default)]
pub(crate) struct FailedHandovers {
    users: Mutex<Users>,
    hasher: RandomState,
}

/// Messages of failed pages by their digest, with how many connections each has ended by itself.
type FailedMessages = HashMap<u64, u8>;

#[derive(Debug, Default)]
struct Users {
    by_tenant: HashMap<TenantId, HashMap<UserId, FailedMessages>>,
    n_users: usize,
}

impl Users {
    fn get(&self, user: &UserKey) -> Option<&FailedMessages> {
        self.by_tenant.get(&user.tenant)?.get(&user.user)
    }

    fn get_mut(&mut self, user: &UserKey) -> Option<&mut FailedMessages> {
        self.by_tenant.get_mut(&user.tenant)?.get_mut(&user.user)
    }

    /// The user's, with room made where there are none yet.
    fn entry(&mut self, user: &UserKey) -> &mut FailedMessages {
        if self.get(user).is_none() {
            if self.n_users >= MOST_USERS {
                self.forget_one();
            }
            self.n_users += 1;
        }
        self.by_tenant.entry(user.tenant.clone()).or_default().entry(user.user.clone()).or_default()
    }

    fn forget_one(&mut self) {
        let largest = self.by_tenant.iter().max_by_key(|(_, users)| users.len());
        let some = largest.and_then(|(tenant, users)| Some((tenant.clone(), users.keys().next()?.clone())));
        if let Some((tenant, user)) = some {
            self.remove(&UserKey { tenant, user });
        }
    }

    fn remove(&mut self, user: &UserKey) {
        let Some(users) = self.by_tenant.get_mut(&user.tenant) else { return };
        self.n_users -= usize::from(users.remove(&user.user).is_some());
        if users.is_empty() {
            self.by_tenant.remove(&user.tenant);
        }
    }
}

impl FailedHandovers {
    /// Whether the user's messages are to be handed over one by one.
    pub(crate) fn concern(&self, user: &UserKey) -> bool {
        self.users().get(user).is_some()
    }

    /// Whether this message has ended too many connections.
    pub(crate) fn is_unfit(&self, user: &UserKey, envelope: &Bytes) -> bool {
        let digest = self.digest(envelope);
        self.users().get(user).and_then(|failed| failed.get(&digest)).is_some_and(|n| *n >= SURVIVED_NOT)
    }

    /// The client has ended its connection with this page on its way.
    pub(crate) fn failed(&self, user: &UserKey, page: &[Bytes]) {
        let alone = u8::from(page.len() == 1 && page[0].len() >= SUSPECT_BYTES);
        let mut users = self.users();
        let failed = users.entry(user);
        for envelope in page {
            let n_ended = failed.entry(self.digest(envelope)).or_default();
            *n_ended = n_ended.saturating_add(alone);
        }
    }

    /// These, some at least, are the client's now, or were set aside. Once one is through that was in no failed page, those
    /// that were are behind it.
    pub(crate) fn done(&self, user: &UserKey, page: &[Bytes]) {
        let mut users = self.users();
        let Some(failed) = users.get_mut(user) else { return };
        let n_before = failed.len();
        for envelope in page {
            failed.remove(&self.digest(envelope));
        }
        if failed.is_empty() || failed.len() == n_before {
            users.remove(user);
        }
    }

    fn digest(&self, envelope: &Bytes) -> u64 {
        self.hasher.hash_one(envelope)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64) -> UserKey {
        UserKey { tenant: TenantId::parse("t").expect("legal"), user: UserId::from(id) }
    }

    fn large(text: &str) -> Bytes {
        Bytes::from(text.repeat(SUSPECT_BYTES / text.len() + 1))
    }

    fn page(texts: &[&str]) -> Vec<Bytes> {
        texts.iter().map(|text| large(text)).collect()
    }

    #[test]
    fn a_small_message_is_never_to_blame() {
        let failures = FailedHandovers::default();
        for _ in 0..9 {
            failures.failed(&user(7), &[Bytes::from_static(b"small")]);
        }
        assert!(!failures.is_unfit(&user(7), &Bytes::from_static(b"small")));
    }

    #[test]
    fn only_what_ends_connections_by_itself_is_unfit() {
        let failures = FailedHandovers::default();
        let agent = user(7);
        let bad = large("bad");
        for _ in 0..9 {
            failures.failed(&agent, &page(&["good", "bad"]));
        }
        assert!(failures.concern(&agent) && !failures.is_unfit(&agent, &bad), "it may have been the other one");
        failures.failed(&agent, &page(&["bad"]));
        assert!(!failures.is_unfit(&agent, &bad), "once is chance");
        failures.failed(&agent, &page(&["bad"]));
        assert!(failures.is_unfit(&agent, &bad));
        assert!(!failures.is_unfit(&user(8), &bad), "each user has a client of his own");
        failures.done(&agent, &page(&["good"]));
        failures.done(&agent, &page(&["bad"]));
        assert!(!failures.concern(&agent), "nothing is left to be careful with");
    }

    #[test]
    fn what_is_gone_from_the_store_does_not_slow_the_rest_down_for_ever() {
        let failures = FailedHandovers::default();
        failures.failed(&user(7), &page(&["dropped meanwhile"]));
        failures.done(&user(7), &page(&["a later one"]));
        assert!(!failures.concern(&user(7)));
    }

    #[test]
    fn the_users_remembered_are_bounded() {
        let failures = FailedHandovers::default();
        for id in 0..MOST_USERS as i64 + 5 {
            failures.failed(&user(id), &page(&["x"]));
        }
        let users = failures.users();
        assert_eq!((users.n_users, users.by_tenant.values().map(HashMap::len).sum()), (MOST_USERS, MOST_USERS));
    }

    #[test]
    fn a_tenant_whose_clients_die_by_the_thousand_takes_no_others_counts() {
        let (failures, bad) = (FailedHandovers::default(), large("bad"));
        let quiet = UserKey { tenant: TenantId::parse("quiet").expect("legal"), user: UserId::from(7) };
        failures.failed(&quiet, std::slice::from_ref(&bad));
        for id in 0..3 * MOST_USERS as i64 {
            failures.failed(&user(id), &[Bytes::from_static(b"x")]);
        }
        failures.failed(&quiet, std::slice::from_ref(&bad));
        assert!(failures.is_unfit(&quiet, &bad), "it is set aside after the second time");
    }
}
