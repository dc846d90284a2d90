//! The hub's seam.

use std::collections::HashSet;

use hookswitch_hub::{BoxFuture, PresenceChange, PresenceError, PresenceState, PresenceStore, UserKey, UserPresence};
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{NodeId, TenantId, UserId};

use super::announcement::announcement;
use super::user_leases::{LeaseOutcome, Release, UserState};
use super::{PendingWrite, RedisPresence, user_heartbeats};
use crate::link::LinkError;

/// Members of an online set read in one page.
const MEMBERS_AT_ONCE: usize = 1_000;

impl PresenceStore for RedisPresence {
    fn touch<'a>(
        &'a self,
        user: &'a UserKey,
        n_connections: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        Box::pin(async move {
            self.local.set_online(user, n_connections);
            self.try_now(user, Box::pin(self.store_online(user))).await;
            Ok(None)
        })
    }

    fn leave<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        Box::pin(async move {
            self.leave_or_hold(user, 0).await;
            Ok(None)
        })
    }

    fn hold<'a>(
        &'a self,
        user: &'a UserKey,
        n_sent_away: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        Box::pin(async move {
            self.leave_or_hold(user, n_sent_away).await;
            Ok(None)
        })
    }

    fn exchange_counts(&self, n_connections: Option<u64>) -> BoxFuture<'_, Result<Vec<u64>, PresenceError>> {
        Box::pin(async move {
            let counts = self.exchange(n_connections).await;
            counts.map_err(|source| unavailable("exchange numbers of connections", source))
        })
    }

    fn other_holders<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Vec<NodeId>, PresenceError>> {
        Box::pin(async move {
            let state = self.leases_of(user).await.map_err(|source| unavailable("find a user's nodes", source))?;
            Ok(state.holders.into_iter().map(|(node, _)| node).filter(|node| node != self.link.node()).collect())
        })
    }

    fn state<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<UserPresence, PresenceError>> {
        Box::pin(async move { self.read_state(user).await.map_err(|source| unavailable("read presence", source)) })
    }

    fn online_users<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<Vec<UserId>, PresenceError>> {
        Box::pin(async move { self.members(tenant).await.map_err(|source| unavailable("list online users", source)) })
    }
}

impl RedisPresence {
    /// Tries to write it; what is not written stays pending.
    async fn try_now(&self, key: &UserKey, writing: impl Future<Output = Result<bool, LinkError>>) {
        let mut write = PendingWrite { presence: self, key, is_settled: false };
        if !self.link.is_up() {
            return;
        }
        match writing.await {
            Ok(is_settled) => write.is_settled = is_settled,
            Err(error) => self.failed(&error, Some(&key.tenant)),
        }
    }

    /// Whether Redis knows now that the user is here.
    async fn store_online(&self, key: &UserKey) -> Result<bool, LinkError> {
        let write_lock = self.local.write_lock(&key.tenant);
        let _guard = write_lock.read().await;
        self.notice_reopening();
        self.register(&key.tenant).await?;
        let Some(lease) = self.local.send(key) else { return Ok(true) };
        let user = key.user.to_string();
        if !lease.is_announced {
            return self.assert(&key.tenant, &[lease]).await;
        }
        // Beforehand too: whoever hears of the coming and asks at once must not read "away".
        let heartbeat = user_heartbeats::write(&self.link, &key.tenant, &user);
        let leases = [lease];
        let (heartbeat, asserted) = tokio::join!(heartbeat, self.assert(&key.tenant, &leases));
        heartbeat.and(asserted)
    }

    async fn leave_or_hold(&self, user: &UserKey, n_sent_away: u32) {
        if self.local.set_offline(user, n_sent_away) {
            self.try_now(user, Box::pin(self.store_offline(user))).await;
        }
    }

    /// Whether Redis knows now that the user is not here.
    async fn store_offline(&self, key: &UserKey) -> Result<bool, LinkError> {
        let write_lock = self.local.write_lock(&key.tenant);
        let _guard = write_lock.read().await;
        self.notice_reopening();
        if !self.local.may_depart(key) {
            return Ok(false);
        }
        self.end_leases(&key.tenant, std::slice::from_ref(&key.user)).await
    }

    /// Ends leases of this node, or has them held where it sent the user elsewhere. Whether they are.
    pub(super) async fn end_leases(&self, tenant: &TenantId, users: &[UserId]) -> Result<bool, LinkError> {
        let departures = self.local.departures(tenant, users);
        let (held, left): (Vec<_>, Vec<_>) = departures.into_iter().partition(|(_, n_sent_away)| *n_sent_away > 0);
        let are_held = held.is_empty() || self.hold_leases(tenant, &held).await?;
        let left: Vec<UserId> = left.into_iter().map(|(user, _)| user).collect();
        Ok((left.is_empty() || self.end_own(tenant, &left).await?) && are_held)
    }

    async fn end_own(&self, tenant: &TenantId, users: &[UserId]) -> Result<bool, LinkError> {
        let now = self.link.clock().now();
        let tell = |user: &UserId| (user.to_string(), announcement(tenant, user, PresenceCause::Disconnected, now));
        let told = users.iter().map(tell).collect();
        let left = self.leases.leave(&self.link, tenant, Release::Own(self.fence(tenant)), told).await?;
        if !self.has_departed(tenant, left.outcome, users) {
            return Ok(false);
        }
        if let Err(error) = user_heartbeats::erase(&self.link, tenant, &left.gone).await {
            // They expire by themselves; the set says who is online.
            self.failed(&error, Some(tenant));
        }
        Ok(true)
    }

    /// Takes in what became of a call about users who left. Whether it is done.
    pub(super) fn has_departed(&self, tenant: &TenantId, outcome: LeaseOutcome, users: &[UserId]) -> bool {
        match outcome {
            LeaseOutcome::Stale => return false,
            LeaseOutcome::Swept => self.local.swept(tenant),
            LeaseOutcome::Fresh if self.local.was_in_sync(tenant) => {
                self.lost(Some(tenant));
                return false;
            }
            LeaseOutcome::Done | LeaseOutcome::Fresh => self.local.departed(tenant, users),
        }
        true
    }

    async fn leases_of(&self, user: &UserKey) -> Result<UserState, LinkError> {
        self.link.ready()?;
        self.leases.state(&self.link, user).await
    }

    async fn read_state(&self, user: &UserKey) -> Result<UserPresence, LinkError> {
        self.link.ready()?;
        let (state, heartbeat) =
            tokio::try_join!(self.leases.state(&self.link, user), user_heartbeats::read(&self.link, user))?;
        let word = match heartbeat {
            _ if !state.is_online => PresenceState::Offline,
            Some(_) => PresenceState::Online,
            None => PresenceState::Away,
        };
        let n_connections = state.holders.iter().map(|(_, n)| n).sum();
        Ok(UserPresence { state: word, n_connections, last_seen: heartbeat.flatten() })
    }

    /// In pages, so that a tenant with many users holds up no other: who is there all the while is among them.
    async fn members(&self, tenant: &TenantId) -> Result<Vec<UserId>, LinkError> {
        self.link.ready()?;
        let (mut users, mut n_others) = (HashSet::new(), 0_usize);
        let mut take = |page: Vec<String>| {
            for user in page {
                match UserId::parse(&user) {
                    Ok(user) => _ = users.insert(user),
                    Err(_unfit) => n_others += 1,
                }
            }
        };
        self.scan("SSCAN", &self.link.keys().online(tenant), ("list online users", MEMBERS_AT_ONCE), &mut take).await?;
        if n_others > 0 {
            tracing::warn!(%tenant, n_others, "the online set holds what are no user ids, they are left out");
        }
        Ok(users.into_iter().collect())
    }
}

fn unavailable(operation: &'static str, source: LinkError) -> PresenceError {
    PresenceError::Unavailable { operation, source: source.boxed() }
}
