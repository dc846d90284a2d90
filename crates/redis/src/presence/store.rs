//! The hub's seam.

use fred::interfaces::SetsInterface as _;
use hookswitch_hub::{BoxFuture, PresenceChange, PresenceError, PresenceState, PresenceStore, UserKey, UserPresence};
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{NodeId, TenantId, UserId};

use super::announcement::announcement;
use super::leases::{Ending, Held, Verdict};
use super::{Debt, RedisPresence, signs};
use crate::link::LinkError;

impl PresenceStore for RedisPresence {
    fn touch<'a>(
        &'a self,
        user: &'a UserKey,
        n_connections: u32,
    ) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        Box::pin(async move {
            self.roll.come(user, n_connections);
            self.now_or_later(user, Box::pin(self.say_present(user))).await;
            Ok(None)
        })
    }

    fn leave<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Option<PresenceChange>, PresenceError>> {
        Box::pin(async move {
            if self.roll.go(user) {
                self.now_or_later(user, self.say_left(user)).await;
            }
            Ok(None)
        })
    }

    fn other_holders<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<Vec<NodeId>, PresenceError>> {
        Box::pin(async move {
            let held = self.held(user).await.map_err(|source| unavailable("find a user's nodes", source))?;
            Ok(held.by.into_iter().map(|(node, _)| node).filter(|node| node != self.link.node()).collect())
        })
    }

    fn state<'a>(&'a self, user: &'a UserKey) -> BoxFuture<'a, Result<UserPresence, PresenceError>> {
        Box::pin(async move { self.read_state(user).await.map_err(|source| unavailable("read presence", source)) })
    }

    fn online_users<'a>(&'a self, tenant: &'a TenantId) -> BoxFuture<'a, Result<Vec<UserId>, PresenceError>> {
        Box::pin(async move {
            let members = self.members(tenant).await.map_err(|source| unavailable("list online users", source))?;
            let users: Vec<UserId> = members.iter().filter_map(|user| UserId::parse(user).ok()).collect();
            if users.len() < members.len() {
                let n_others = members.len() - users.len();
                tracing::warn!(%tenant, n_others, "the online set holds what are no user ids, they are left out");
            }
            Ok(users)
        })
    }
}

impl RedisPresence {
    /// Tries to say it; what is not said stays owed.
    async fn now_or_later(&self, key: &UserKey, saying: impl Future<Output = Result<bool, LinkError>>) {
        let mut debt = Debt { presence: self, key, is_settled: false };
        if !self.link.is_up() {
            return;
        }
        match saying.await {
            Ok(is_settled) => debt.is_settled = is_settled,
            Err(error) => self.failed(&error, Some(&key.tenant)),
        }
    }

    /// Whether Redis knows now that the user is here.
    async fn say_present(&self, key: &UserKey) -> Result<bool, LinkError> {
        let gate = self.roll.gate(&key.tenant);
        let _turn = gate.read().await;
        self.notice_reopening();
        self.register(&key.tenant).await?;
        let Some(lease) = self.roll.send(key) else { return Ok(true) };
        let user = key.user.to_string();
        if !lease.is_news {
            return self.assert(&key.tenant, &[lease]).await;
        }
        // Beforehand too: whoever hears of the coming and asks at once must not read "away".
        let sign = signs::write(&self.link, &key.tenant, &user);
        let leases = [lease];
        let (sign, asserted) = tokio::join!(sign, self.assert(&key.tenant, &leases));
        sign.and(asserted)
    }

    /// Whether Redis knows now that the user is not here.
    async fn say_left(&self, key: &UserKey) -> Result<bool, LinkError> {
        let gate = self.roll.gate(&key.tenant);
        let _turn = gate.read().await;
        self.notice_reopening();
        if !self.roll.may_leave(key) {
            return Ok(false);
        }
        self.end_leases(&key.tenant, std::slice::from_ref(&key.user)).await
    }

    /// Ends leases of this node. Whether they are.
    pub(super) async fn end_leases(&self, tenant: &TenantId, users: &[UserId]) -> Result<bool, LinkError> {
        let now = self.link.clock().now();
        let tell = |user: &UserId| (user.to_string(), announcement(tenant, user, PresenceCause::Disconnected, now));
        let told = users.iter().map(tell).collect();
        let left = self.leases.leave(&self.link, tenant, Ending::Own(self.era(tenant)), told).await?;
        match left.verdict {
            Verdict::Stale => return Ok(false),
            Verdict::Swept => self.roll.swept(tenant),
            Verdict::Fresh if self.roll.is_in_step(tenant) => {
                self.lost(Some(tenant));
                return Ok(false);
            }
            Verdict::Done | Verdict::Fresh => self.roll.departed(tenant, users),
        }
        if let Err(error) = signs::erase(&self.link, tenant, &left.gone).await {
            // They expire by themselves; the set says who is online.
            self.failed(&error, Some(tenant));
        }
        Ok(true)
    }

    async fn held(&self, user: &UserKey) -> Result<Held, LinkError> {
        self.link.ready()?;
        self.leases.state(&self.link, user).await
    }

    async fn read_state(&self, user: &UserKey) -> Result<UserPresence, LinkError> {
        self.link.ready()?;
        let (held, sign) = tokio::try_join!(self.leases.state(&self.link, user), signs::read(&self.link, user))?;
        let state = match sign {
            _ if !held.is_online => PresenceState::Offline,
            Some(_) => PresenceState::Online,
            None => PresenceState::Away,
        };
        let n_connections = held.by.iter().map(|(_, n)| n).sum();
        Ok(UserPresence { state, n_connections, last_seen: sign.flatten() })
    }

    async fn members(&self, tenant: &TenantId) -> Result<Vec<String>, LinkError> {
        self.link.ready()?;
        let members: Result<Vec<String>, _> = self.link.client().smembers(self.link.keys().online(tenant)).await;
        members.map_err(|source| LinkError::failed("list online users", source))
    }
}

fn unavailable(operation: &'static str, source: LinkError) -> PresenceError {
    PresenceError::Unavailable { operation, source: source.boxed() }
}
