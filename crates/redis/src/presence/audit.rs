//! Compares what Redis holds with the truth, now and then: a command that came late, a key that
//! somebody deleted, or a node that sweeps only half must not be wrong for good.
//!
//! Each node looks after its own leases. That every user who is online has a lease somewhere is looked at by one
//! node for each tenant, whichever takes that on first, and set by set: so what a node does for it does not grow
//! with the number of nodes.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike as _, KeysInterface as _, SetsInterface as _};
use fred::types::{CustomCommand, Expiration, SetOptions, Value};
use futures_util::future::join_all;
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{TenantId, UserId};
use tokio::time::{Instant, sleep_until};

use super::announcement::announcement;
use super::restore::USERS_AT_ONCE;
use super::suspects::Suspects;
use super::{RedisPresence, user_heartbeats};
use crate::link::LinkError;

impl RedisPresence {
    pub(super) async fn run_audits(&self) {
        let mut suspects = Suspects::default();
        loop {
            let next = Instant::now() + self.jittered(self.node_lease().audit_interval());
            while let Some(due) = suspects.take_due(next) {
                sleep_until(due.at).await;
                if let Err(error) = self.expire_all(&due.tenant, &due.users).await {
                    self.failed(&error, Some(&due.tenant));
                }
            }
            sleep_until(next).await;
            for tenant in self.local.tenants() {
                if self.link.is_up()
                    && let Err(error) = self.audit(&tenant, &mut suspects).await
                {
                    self.failed(&error, Some(&tenant));
                }
            }
        }
    }

    async fn audit(&self, tenant: &TenantId, suspects: &mut Suspects) -> Result<(), LinkError> {
        self.nodes.register(&self.link, tenant).await?;
        self.audit_own(tenant).await?;
        if !self.may_sweep() || !self.takes_on(tenant).await? {
            return Ok(());
        }
        self.metrics.audits.inc();
        let holders = self.holders(tenant).await?;
        self.sweep_unknown_holders(tenant, holders.clone()).await?;
        let orphans = self.orphans(tenant, &holders).await?;
        // Who puts a user into the set writes his heartbeat next: it gets the time for it.
        suspects.add(tenant, orphans, Instant::now() + self.node_lease().renewal_interval());
        Ok(())
    }

    /// This node's leases there, and whether its users are online.
    async fn audit_own(&self, tenant: &TenantId) -> Result<(), LinkError> {
        let held = self.scan_all("HSCAN", self.link.keys().leases(tenant, self.link.node())).await?;
        let held: HashMap<UserId, u32> = held.chunks_exact(2).filter_map(lease).collect();
        let online = self.online_of(tenant, self.local.users(tenant)).await?;
        let n_differing = self.local.compare(tenant, &held, &online);
        if n_differing > 0 {
            self.metrics.strays.inc_by(n_differing as u64);
            tracing::warn!(%tenant, n_differing, "Redis held other leases of this node than it has, they are put right");
        }
        Ok(())
    }

    /// Those of these users that are online.
    async fn online_of(&self, tenant: &TenantId, users: Vec<UserId>) -> Result<HashSet<UserId>, LinkError> {
        let key = self.link.keys().online(tenant);
        let mut online = HashSet::new();
        for some in users.chunks(USERS_AT_ONCE) {
            let names: Vec<String> = some.iter().map(UserId::to_string).collect();
            let are_members = async |client: WithOptions<Client>| client.smismember(&key, names.clone()).await;
            let found: Result<Vec<bool>, _> = self.link.at_key(&key, are_members).await;
            let found = found.map_err(|source| self.link.failed("see whether users are online", &key, source))?;
            online.extend(some.iter().zip(found).filter(|(_, is_online)| *is_online).map(|(user, _)| user.clone()));
        }
        Ok(online)
    }

    /// Whether this node is the one that looks at this tenant's online users now.
    async fn takes_on(&self, tenant: &TenantId) -> Result<bool, LinkError> {
        let key = self.link.keys().audit(tenant);
        let expiry = Expiration::PX((self.node_lease().audit_interval() * 3 / 4).as_millis() as i64);
        let set = async |client: WithOptions<Client>| {
            client.set(&key, self.link.node().as_str(), Some(expiry.clone()), Some(SetOptions::NX), false).await
        };
        let set: Result<Option<String>, _> = self.link.at_key(&key, set).await;
        Ok(set.map_err(|source| self.link.failed("take on an audit", &key, source))?.is_some())
    }

    async fn holders(&self, tenant: &TenantId) -> Result<Vec<String>, LinkError> {
        let key = self.link.keys().holders(tenant);
        let read = async |client: WithOptions<Client>| client.smembers(&key).await;
        let holders: Result<Vec<String>, _> = self.link.at_key(&key, read).await;
        holders.map_err(|source| self.link.failed("read who holds leases", &key, source))
    }

    /// Nodes that hold leases here without being known: a sweep of them began and was not finished.
    async fn sweep_unknown_holders(&self, tenant: &TenantId, holders: Vec<String>) -> Result<(), LinkError> {
        for node in self.nodes.unknown(&self.link, holders).await? {
            tracing::info!(%tenant, %node, "an unknown node holds leases, they are ended");
            self.sweep_tenant(&node, tenant).await?;
        }
        Ok(())
    }

    /// Users whom others put into the online set, and who have no lease. The leases are read before the set: who
    /// comes meanwhile is looked at once more.
    async fn orphans(&self, tenant: &TenantId, holders: &[String]) -> Result<Vec<String>, LinkError> {
        let mut held: HashSet<u64> = HashSet::new();
        for node in holders {
            let key = format!("{}:{node}", self.link.keys().beside("leases", &self.link.keys().online(tenant)));
            let leases = self.scan_all("HSCAN", key).await?;
            held.extend(leases.chunks_exact(2).map(|pair| self.hasher.hash_one(&pair[0])));
        }
        let online = self.scan_all("SSCAN", self.link.keys().online(tenant)).await?;
        let is_candidate = |user: &String| !held.contains(&self.hasher.hash_one(user));
        let candidates: Vec<UserId> =
            online.iter().filter(|user| is_candidate(user)).filter_map(|user| UserId::parse(user).ok()).collect();
        let mut orphans = Vec::new();
        for some in candidates.chunks(USERS_AT_ONCE) {
            orphans.extend(self.leases.unleased(&self.link, tenant, some).await?);
        }
        Ok(orphans)
    }

    /// Makes users offline for whom neither a node nor a heartbeat vouches.
    async fn expire_all(&self, tenant: &TenantId, users: &[String]) -> Result<(), LinkError> {
        for some in users.chunks(USERS_AT_ONCE) {
            self.link.ready()?;
            self.expire(tenant, some).await?;
        }
        Ok(())
    }

    async fn expire(&self, tenant: &TenantId, users: &[String]) -> Result<(), LinkError> {
        let heartbeats = users.iter().map(|user| user_heartbeats::exists(&self.link, tenant, user));
        let heartbeats: Vec<bool> = join_all(heartbeats).await.into_iter().collect::<Result<_, _>>()?;
        let now = self.link.clock().now();
        let tell = |(user, has_heartbeat): (&String, bool)| {
            let id = UserId::parse(user).ok().filter(|_| !has_heartbeat)?;
            Some((user.clone(), announcement(tenant, &id, PresenceCause::Expired, now)))
        };
        let told: Vec<_> = users.iter().zip(heartbeats).filter_map(tell).collect();
        if !told.is_empty() {
            let gone = self.leases.expire(&self.link, tenant, told).await?;
            self.metrics.users_expired.inc_by(gone.len() as u64);
        }
        Ok(())
    }

    async fn scan_all(&self, name: &'static str, key: String) -> Result<Vec<String>, LinkError> {
        let mut all = Vec::new();
        self.scan(name, &key, ("read leases", USERS_AT_ONCE), &mut |page| all.extend(page)).await?;
        Ok(all)
    }

    /// A whole hash or set, in pages of about so many: other commands have their turn between them.
    pub(super) async fn scan(
        &self,
        name: &'static str,
        key: &str,
        (operation, at_once): (&'static str, usize),
        take: &mut (dyn FnMut(Vec<String>) + Send),
    ) -> Result<(), LinkError> {
        let mut cursor = "0".to_owned();
        loop {
            let args: Vec<Value> = vec![key.into(), cursor.into(), "COUNT".into(), (at_once as i64).into()];
            let read = async |client: WithOptions<Client>| {
                client.custom(CustomCommand::new_static(name, None, false), args.clone()).await
            };
            let page: Result<(String, Vec<String>), _> = self.link.at_key(key, read).await;
            let (next, page) = page.map_err(|source| self.link.failed(operation, key, source))?;
            take(page);
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }
}

fn lease(pair: &[String]) -> Option<(UserId, u32)> {
    Some((UserId::parse(&pair[0]).ok()?, pair[1].parse().ok()?))
}
