//! Which kept messages their users' clients did not survive.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::seams::user_key::UserKey;

/// A message that ended so many connections by itself is set aside.
const SURVIVED_NOT: u8 = 2;

/// Only what is larger than this is blamed: a connection may end at any moment, and no client ends it for a small
/// message.
const SUSPECT_BYTES: usize = 64 * 1024;

/// Most users of whom failures are remembered; beyond it those of some other are forgotten.
const MOST_USERS: usize = 10_000;

/// Pages whose connection was ended by its client before it had them, by user, on this node.
///
/// One message may be more than a client takes: a megabyte, where its library reads no more than that. It dies,
/// comes back, is handed the same page, and never sees what stands behind it. So what stood in such a page is
/// handed over one by one, and what ended a connection twice by itself is set aside.
#[derive(Debug, Default)]
pub(crate) struct FailedHandovers {
    users: Mutex<HashMap<UserKey, FailedMessages>>,
    hasher: RandomState,
}

/// Messages of failed pages by their digest, with how many connections each has ended by itself.
type FailedMessages = HashMap<u64, u8>;

impl FailedHandovers {
    /// Whether the user's messages are to be handed over one by one.
    pub(crate) fn concern(&self, user: &UserKey) -> bool {
        self.users().contains_key(user)
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
        if users.len() >= MOST_USERS
            && !users.contains_key(user)
            && let Some(other) = users.keys().next().cloned()
        {
            users.remove(&other);
        }
        let failed = users.entry(user.clone()).or_default();
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

    fn users(&self) -> MutexGuard<'_, HashMap<UserKey, FailedMessages>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::{TenantId, UserId};

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
        assert_eq!(failures.users().len(), MOST_USERS);
    }
}
