//! Compares what Redis holds with the truth, now and then: a command that came late, a key that
//! somebody deleted, or a node that sweeps only half must not be wrong for good.

use std::collections::{HashMap, HashSet};

use fred::interfaces::{ClientLike as _, SetsInterface as _};
use fred::types::{ClusterHash, CustomCommand, Value};
use futures_util::future::join_all;
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{TenantId, UserId};
use tokio::time::sleep;

use super::announcement::announcement;
use super::restore::USERS_AT_ONCE;
use super::{RedisPresence, user_heartbeats};
use crate::link::LinkError;

impl RedisPresence {
    pub(super) async fn run_audits(&self) {
        loop {
            sleep(self.jittered(self.node_lease().audit_interval())).await;
            for tenant in self.local.tenants() {
                if self.link.is_up()
                    && let Err(error) = self.audit(&tenant).await
                {
                    self.failed(&error, Some(&tenant));
                }
            }
        }
    }

    async fn audit(&self, tenant: &TenantId) -> Result<(), LinkError> {
        self.nodes.register(&self.link, tenant).await?;
        let held = self.scan("HSCAN", self.link.keys().leases(tenant, self.link.node())).await?;
        let online = self.scan("SSCAN", self.link.keys().online(tenant)).await?;
        let online: HashSet<UserId> = online.iter().filter_map(|user| UserId::parse(user).ok()).collect();
        let held: HashMap<UserId, u32> = held.chunks_exact(2).filter_map(lease).collect();
        let n_differing = self.local.compare(tenant, &held, &online);
        if n_differing > 0 {
            self.metrics.strays.inc_by(n_differing as u64);
            tracing::warn!(%tenant, n_differing, "Redis held other leases of this node than it has, they are put right");
        }
        if self.may_sweep() {
            self.sweep_unknown_holders(tenant).await?;
            let others = online.into_iter().filter(|user| !held.contains_key(user)).collect();
            self.expire_orphans(tenant, others).await?;
        }
        Ok(())
    }

    /// Nodes that hold leases here without being known: a sweep of them began and was not finished.
    async fn sweep_unknown_holders(&self, tenant: &TenantId) -> Result<(), LinkError> {
        let holders: Result<Vec<String>, _> = self.link.client().smembers(self.link.keys().holders(tenant)).await;
        let holders = holders.map_err(|source| LinkError::failed("read who holds leases", source))?;
        for node in self.nodes.unknown(&self.link, holders).await? {
            tracing::info!(%tenant, %node, "an unknown node holds leases, they are ended");
            self.sweep_tenant(&node, tenant).await?;
        }
        Ok(())
    }

    /// Users whom others put into the online set, for whom neither a node nor a heartbeat vouches.
    async fn expire_orphans(&self, tenant: &TenantId, users: Vec<UserId>) -> Result<(), LinkError> {
        let mut unleased = Vec::new();
        for users in users.chunks(USERS_AT_ONCE) {
            unleased.extend(self.leases.unleased(&self.link, tenant, users).await?);
        }
        if unleased.is_empty() {
            return Ok(());
        }
        // Who puts a user into the set writes his heartbeat next: it gets the time for it.
        sleep(self.node_lease().renewal_interval()).await;
        for users in unleased.chunks(USERS_AT_ONCE) {
            self.expire(tenant, users).await?;
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

    /// A whole hash or set, in pages: other commands have their turn between them.
    async fn scan(&self, name: &'static str, key: String) -> Result<Vec<String>, LinkError> {
        let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
            let args: Vec<Value> =
                vec![key.as_str().into(), cursor.into(), "COUNT".into(), (USERS_AT_ONCE as i64).into()];
            let page: Result<(String, Vec<String>), _> = self.link.client().custom(command, args).await;
            let (next, page) = page.map_err(|source| LinkError::failed("read leases", source))?;
            all.extend(page);
            if next == "0" {
                return Ok(all);
            }
            cursor = next;
        }
    }
}

fn lease(pair: &[String]) -> Option<(UserId, u32)> {
    Some((UserId::parse(&pair[0]).ok()?, pair[1].parse().ok()?))
}
