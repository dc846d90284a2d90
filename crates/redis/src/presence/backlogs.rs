//! Whose kept messages are looked for again: while a user's lease was not in Redis he counted as absent, and what
//! was published for him then was kept, without a word to this node.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use hookswitch_hub::UserKey;
use tokio::sync::Notify;

/// Users looked after in one step; ten thousand may be restored at once.
const USERS_AT_ONCE: usize = 64;

/// Users whose leases were restored. Bounded by the users of this node, for each is in it once.
#[derive(Debug, Default)]
pub(super) struct Backlogs {
    users: Mutex<HashSet<UserKey>>,
    pub(super) arrived: Notify,
}

impl Backlogs {
    pub(super) fn add(&self, users: impl IntoIterator<Item = UserKey>) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).extend(users);
        self.arrived.notify_one();
    }

    /// Those of the next step.
    pub(super) fn take_some(&self) -> Vec<UserKey> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let some: Vec<UserKey> = users.iter().take(USERS_AT_ONCE).cloned().collect();
        for user in &some {
            users.remove(user);
        }
        some
    }
}
