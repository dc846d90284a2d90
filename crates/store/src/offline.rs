//! The offline messages, kept in `offline_messages` and `offline_users`.

use std::sync::PoisonError;

use hookswitch_hub::{BoxFuture, Claim, MessageNumber, OfflineError, OfflineMessage, OfflineStore, UserKey};

use crate::queries::offline;
use crate::store::{Inner, Store};

impl OfflineStore for Store {
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        Box::pin(async move {
            let limits = self.inner.config.offline;
            let clock = self.inner.clock.clone();
            let waiting = self.inner.waiting.clone();
            let work =
                move |conn: &mut _| offline::put(conn, &messages, limits.per_user, clock.now().before(limits.max_age));
            let after = move |users: &Vec<(UserKey, bool)>| {
                for (user, has_some) in users {
                    Inner::note(&waiting, user, *has_some);
                }
            };
            let put = self.inner.writer.call_then(work, after).await;
            put.map(drop).map_err(|failure| failure.offline("keep offline messages"))
        })
    }

    fn claim<'a>(&'a self, user: &'a UserKey, limit: usize) -> BoxFuture<'a, Result<Claim, OfflineError>> {
        Box::pin(async move {
            let max_age = self.inner.config.offline.max_age;
            let (clock, claimer) = (self.inner.clock.clone(), user.clone());
            let (waiting, noted) = (self.inner.waiting.clone(), user.clone());
            let work = move |conn: &mut _| offline::claim(conn, &claimer, limit, clock.now().before(max_age));
            let after = move |(_, has_more): &(Claim, bool)| Inner::note(&waiting, &noted, *has_more);
            let claimed = self.inner.writer.call_then(work, after).await;
            claimed.map(|(claim, _)| claim).map_err(|failure| failure.offline("claim offline messages"))
        })
    }

    fn confirm<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        let (owner, messages) = (user.clone(), messages.to_vec());
        let (waiting, noted) = (self.inner.waiting.clone(), user.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| offline::confirm(conn, &owner, &messages);
            let after = move |has_more: &bool| Inner::note(&waiting, &noted, *has_more);
            let confirmed = self.inner.writer.call_then(work, after).await;
            confirmed.map(drop).map_err(|failure| failure.offline("confirm offline messages"))
        })
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        let (owner, messages) = (user.clone(), messages.to_vec());
        Box::pin(async move {
            let work = move |conn: &mut _| offline::give_back(conn, &owner, &messages);
            self.inner.writer.call(work).await.map_err(|failure| failure.offline("give offline messages back"))
        })
    }

    /// Exact: this process is the only one that changes the table, and remembers for whom it holds rows.
    fn may_have(&self, user: &UserKey) -> bool {
        self.inner.waiting.read().unwrap_or_else(PoisonError::into_inner).contains(user)
    }
}
