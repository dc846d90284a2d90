//! The offline messages, kept in `offline_messages` and `offline_users`.

use std::collections::HashMap;

use hookswitch_hub::{BoxFuture, Claim, MessageNumber, OfflineError, OfflineMessage, OfflineStore, UserKey};

use super::Store;
use super::queries::offline;
use crate::error::Failure;
use crate::weight::{Caller, Weight};

impl OfflineStore for Store {
    /// In steps of a few users each: a batch may be for a thousand of them.
    fn put(&self, messages: Vec<OfflineMessage>) -> BoxFuture<'_, Result<(), OfflineError>> {
        Box::pin(async move {
            for step in steps(messages) {
                self.put_step(step).await.map_err(|failure| failure.offline("keep offline messages"))?;
            }
            Ok(())
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
            let turn = (Caller::Tenant(user.tenant.clone()), Weight { n_rows: limit, n_bytes: 0 });
            let claimed = self.inner.acceptance.call_then(turn, work, after).await;
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
        let turn = (Caller::Tenant(user.tenant.clone()), Weight::of_rows(messages.len()));
        Box::pin(async move {
            let work = move |conn: &mut _| offline::confirm(conn, &owner, &holder, &messages);
            let after = move |has_more: &bool| pending_users.note(&noted, *has_more);
            let confirmed = self.inner.acceptance.call_then(turn, work, after).await;
            confirmed.map(drop).map_err(|failure| failure.offline("confirm offline messages"))
        })
    }

    fn give_back<'a>(
        &'a self,
        user: &'a UserKey,
        messages: &'a [MessageNumber],
    ) -> BoxFuture<'a, Result<(), OfflineError>> {
        let (owner, holder, messages) = (user.clone(), self.inner.holder.clone(), messages.to_vec());
        let turn = (Caller::Tenant(user.tenant.clone()), Weight::of_rows(messages.len()));
        let work = move |conn: &mut _| offline::give_back(conn, &owner, &holder, &messages);
        self.inner.acceptance.call_as(Failure::offline, "give offline messages back", turn, work)
    }

    /// Exact where this process is the only one that changes the tables; elsewhere always `true`.
    fn may_have(&self, user: &UserKey) -> bool {
        self.inner.pending_users.may_have(user)
    }
}

/// Most users whose messages are kept in one transaction.
const STEP_USERS: usize = 50;

/// Most bytes of their messages; those of one user may be more.
const STEP_BYTES: usize = 1024 * 1024;

/// Cuts a batch between users, so that each user's messages stay together and in order.
fn steps(messages: Vec<OfflineMessage>) -> Vec<Vec<OfflineMessage>> {
    let mut by_user: Vec<Vec<OfflineMessage>> = Vec::new();
    let mut places: HashMap<UserKey, usize> = HashMap::new();
    for message in messages {
        let place = *places.entry(message.user.clone()).or_insert(by_user.len());
        if place == by_user.len() {
            by_user.push(Vec::new());
        }
        by_user[place].push(message);
    }
    let mut steps: Vec<Vec<OfflineMessage>> = Vec::new();
    let (mut n_users, mut n_bytes) = (0, 0);
    for of_user in by_user {
        let weight: usize = of_user.iter().map(|message| message.envelope.len()).sum();
        if let Some(step) = steps.last_mut().filter(|_| n_users < STEP_USERS && n_bytes + weight <= STEP_BYTES) {
            step.extend(of_user);
        } else {
            (n_users, n_bytes) = (0, 0);
            steps.push(of_user);
        }
        n_users += 1;
        n_bytes += weight;
    }
    steps
}

impl Store {
    async fn put_step(&self, messages: Vec<OfflineMessage>) -> Result<(), Failure> {
        let limits = self.inner.offline;
        let n_bytes = messages.iter().map(|message| message.envelope.len()).sum();
        let caller = messages.first().map_or(Caller::Node, |message| Caller::Tenant(message.user.tenant.clone()));
        let turn = (caller, Weight { n_rows: 2 * messages.len(), n_bytes });
        let clock = self.inner.clock.clone();
        let pending_users = self.inner.pending_users.clone();
        let work = move |conn: &mut _| offline::put(conn, &messages, &limits, clock.now().before(limits.max_age));
        let after = move |users: &Vec<(UserKey, bool)>| {
            for (user, has_some) in users {
                pending_users.note(user, *has_some);
            }
        };
        self.inner.acceptance.call_then(turn, work, after).await.map(drop)
    }
}
