//! Ends the leases of nodes that ended without a word, and those that a drained node left for users to come back.

use fred::clients::{Client, WithOptions};
use fred::interfaces::HashesInterface as _;
use futures_util::{StreamExt as _, stream};
use hookswitch_protocol::payloads::PresenceCause;
use hookswitch_protocol::{NodeId, TenantId, UserId};
use tokio::time::sleep;

use super::announcement::announcement;
use super::restore::{TENANTS_AT_ONCE, USERS_AT_ONCE};
use super::user_leases::{Release, UserAnnouncement};
use super::{RedisPresence, user_heartbeats};
use crate::link::LinkError;

impl RedisPresence {
    pub(super) async fn run_sweeps(&self) {
        loop {
            sleep(self.jittered(self.node_lease().sweep_interval())).await;
            if self.may_sweep()
                && let Err(error) = self.sweep().await
            {
                self.failed(&error, None);
            }
        }
    }

    /// One node for each that was lost, so that this costs no more the more nodes there are. Where several are at
    /// it all the same, nothing is told of him whose lease is ended already.
    async fn sweep(&self) -> Result<(), LinkError> {
        for node in self.nodes.lost(&self.link).await? {
            if let Err(error) = self.sweep_in_turn(&node).await {
                self.failed(&error, None);
            }
        }
        Ok(())
    }

    async fn sweep_in_turn(&self, node: &NodeId) -> Result<(), LinkError> {
        if self.nodes.takes_on(&self.link, node).await? {
            self.sweep_node(node).await?;
        }
        Ok(())
    }

    async fn sweep_node(&self, node: &NodeId) -> Result<(), LinkError> {
        let tenants = stream::iter(self.nodes.tenants(&self.link, node).await?);
        // A part of a cluster that is gone holds up neither the other tenants nor the other nodes; what is
        // left of the node waits for the next sweep.
        let swept = tenants.map(|tenant| self.is_swept(node, tenant)).buffer_unordered(TENANTS_AT_ONCE);
        // Every tenant has its turn, also after one that failed.
        if !swept.fold(true, async |all, is_swept| all && is_swept).await {
            return Ok(());
        }
        if self.nodes.forget(&self.link, node).await? {
            tracing::info!(%node, "a node was lost or had drained, its users are offline unless another node has them");
            self.metrics.nodes_swept.inc();
        }
        Ok(())
    }

    async fn is_swept(&self, node: &NodeId, tenant: TenantId) -> bool {
        self.sweep_tenant(node, &tenant).await.unwrap_or_else(|error| {
            self.failed(&error, Some(&tenant));
            false
        })
    }

    /// Ends all leases of a node in one tenant. Whether it stayed lost meanwhile.
    pub(super) async fn sweep_tenant(&self, node: &NodeId, tenant: &TenantId) -> Result<bool, LinkError> {
        while self.nodes.is_gone(&self.link, node).await? {
            let told = self.announce_lost(tenant, self.some_leases(node, tenant).await?);
            let left = self.leases.leave(&self.link, tenant, Release::Lost(node), told).await?;
            self.metrics.users_swept.inc_by(left.gone.len() as u64);
            user_heartbeats::erase(&self.link, tenant, &left.gone).await?;
            if left.n_remaining == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Users, each with whether the lease is only held for him, the node having sent him elsewhere.
    async fn some_leases(&self, node: &NodeId, tenant: &TenantId) -> Result<Vec<(String, bool)>, LinkError> {
        let key = self.link.keys().leases(tenant, node);
        let some = Some((USERS_AT_ONCE as i64, true));
        let read = async |client: WithOptions<Client>| client.hrandfield(&key, some).await;
        let fields: Result<Vec<(String, String)>, _> = self.link.at_key(&key, read).await;
        let fields = fields.map_err(|source| self.link.failed("read a lost node's leases", &key, source))?;
        let leases = fields.into_iter().filter(|(field, _)| !field.starts_with('#'));
        Ok(leases.map(|(user, n)| (user, n.starts_with('-'))).collect())
    }

    fn announce_lost(&self, tenant: &TenantId, users: Vec<(String, bool)>) -> Vec<UserAnnouncement> {
        let now = self.link.clock().now();
        let tell = |(user, is_held): (String, bool)| {
            let cause = if is_held { PresenceCause::Drained } else { PresenceCause::NodeLost };
            let legal = UserId::parse(&user).ok();
            let text = legal.map(|legal| announcement(tenant, &legal, cause, now));
            (user, text.unwrap_or_default())
        };
        users.into_iter().map(tell).collect()
    }
}
