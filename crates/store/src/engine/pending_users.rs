//! For which users there is something to tell, where that can be known without asking the database.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use hookswitch_hub::UserKey;

/// The users for whom messages wait or drops are to be told. Changed by the writer between commit
/// and answer. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct PendingUsers(Option<Arc<RwLock<HashSet<UserKey>>>>);

impl PendingUsers {
    /// What is waiting now; `None` where it cannot be known, because other nodes change the tables too.
    pub(crate) fn new(users: Option<HashSet<UserKey>>) -> Self {
        Self(users.map(|users| Arc::new(RwLock::new(users))))
    }

    pub(crate) fn may_have(&self, user: &UserKey) -> bool {
        let Some(users) = &self.0 else { return true };
        users.read().unwrap_or_else(PoisonError::into_inner).contains(user)
    }

    pub(crate) fn note(&self, user: &UserKey, has_some: bool) {
        let Some(users) = &self.0 else { return };
        let mut users = users.write().unwrap_or_else(PoisonError::into_inner);
        if !has_some {
            users.remove(user);
        } else if !users.contains(user) {
            users.insert(user.clone());
        }
    }
}
