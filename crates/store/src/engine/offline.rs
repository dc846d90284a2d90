//! The offline messages, kept in `offline_messages` and `offline_users`.

use hookswitch_hub::{BoxFuture, Claim, MessageNumber, OfflineError, OfflineMessage, OfflineStore, UserKey};

use super::Store;
use super::queries::offline;
use crate::error::Failure;

impl OfflineStore for Store {
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        Box::pin(async move {
            let limits = self.inner.offline;
            let clock = self.inner.clock.clone();
            let pending_users = self.inner.pending_users.clone();
            let work =
                move |conn: &mut _| offline::put(conn, &messages, limits.per_user, clock.now().before(limits.max_age));
            let after = move |users: &Vec<(UserKey, bool)>| {
                for (user, has_some) in users {
                    pending_users.note(user, *has_some);
                }
            };
            let put = self.inner.acceptance.call_then(work, after).await;
            put.map(drop).map_err(|failure| failure.offline("keep offline messages"))
        })
    }

    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>> {
        Box::pin(async move {
            let max_age = self.inner.offline.max_age;
            let (clock, holder, claimer) = (self.inner.clock.clone(), self.inner.holder.clone(), user.clone());
            let (pending_users, noted) = (self.inner.pending_users.clone(), user.clone());
            let work = move |conn: &mut _| {
                let now = clock.now();
                offline::claim(conn, &claimer, &holder, limit, now, now.before(max_age))
            };
            let after = move |(_, has_more): &(Claim, bool)| pending_users.note(&noted, *has_more);
            let claimed = self.inner.acceptance.call_then(work, after).await;
            claimed.map(|(claim, _)| claim).map_err(|failure| failure.offline("claim offline messages"))
        })
    }

    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        let (owner, holder, messages) = (user.clone(), self.inner.holder.clone(), messages.to_vec());
        let (pending_users, noted) = (self.inner.pending_users.clone(), user.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| offline::confirm(conn, &owner, &holder, &messages);
            let after = move |has_more: &bool| pending_users.note(&noted, *has_more);
            let confirmed = self.inner.acceptance.call_then(work, after).await;
            confirmed.map(drop).map_err(|failure| failure.offline("confirm offline messages"))
        })
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        let (owner, holder, messages) = (user.clone(), self.inner.holder.clone(), messages.to_vec());
        self.inner.acceptance.call_as(Failure::offline, "give offline messages back", move |conn| {
            offline::give_back(conn, &owner, &holder, &messages)
        })
    }

    /// Exact where this process is the only one that changes the tables; elsewhere always `true`.
    fn may_have(&self, user: &UserKey) -> bool {
        self.inner.pending_users.may_have(user)
    }
}
