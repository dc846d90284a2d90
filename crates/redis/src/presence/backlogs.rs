//! Whose kept messages are looked for again: while a user's lease was not in Redis he counted as absent, and what
//! was published for him then was kept, without a word to this node.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hookswitch_hub::UserKey;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::RedisPresence;

/// Users looked after in one step; ten thousand may be restored at once.
const USERS_AT_ONCE: usize = 64;

/// Pause between two steps.
const PAUSE: Duration = Duration::from_millis(20);

/// Users whose leases were restored. Bounded by the users of this node, for each is in it once.
#[derive(Debug, Default)]
pub(super) struct Backlogs {
    users: Mutex<HashSet<UserKey>>,
    arrived: Notify,
}

impl Backlogs {
    pub(super) fn add(&self, users: impl IntoIterator<Item = UserKey>) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).extend(users);
        self.arrived.notify_one();
    }

    fn take_some(&self) -> Vec<UserKey> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let some: Vec<UserKey> = users.iter().take(USERS_AT_ONCE).cloned().collect();
        for user in &some {
            users.remove(user);
        }
        some
    }
}

impl RedisPresence {
    pub(super) async fn run_backlogs(&self) {
        loop {
            let some = self.backlogs.take_some();
            if some.is_empty() {
                self.backlogs.arrived.notified().await;
                continue;
            }
            for user in some {
                self.sink.on_backlog(user);
            }
            sleep(PAUSE).await;
        }
    }
}
