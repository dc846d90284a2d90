//! Which nodes live, and in which tenants each may hold leases.

use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{KeysInterface as _, SetsInterface as _, SortedSetsInterface as _};
use fred::types::{Expiration, SetOptions, Value};
use hookswitch_protocol::{NodeId, TenantId};

use crate::link::{Link, LinkError};
use crate::script::Script;

/// Lost nodes taken on at once; the others' turn comes with the next sweep.
const LOST_AT_ONCE: i64 = 16;

/// How long the list of a node's tenants lasts; it is renewed with every audit. Whatever ends in between, nothing
/// of a node that is gone stays for good.
const TENANTS_EXPIRY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The scripts about nodes.
#[derive(Debug)]
pub(super) struct NodeLeases {
    renew: Script,
    lost: Script,
    unknown: Script,
    forget: Script,
}

/// What a renewal found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The node was known and in time.
    Kept,
    /// It was known, but its lease had expired.
    Late,
    /// It was not known any more: swept, or Redis lost it.
    Unknown,
}

macro_rules! with_now {
    ($file:literal) => {
        Script::new(concat!(include_str!("../scripts/now.lua"), include_str!(concat!("../scripts/", $file))))
    };
}

impl NodeLeases {
    pub(super) fn new() -> Self {
        Self {
            renew: with_now!("node_renew.lua"),
            lost: with_now!("node_lost.lua"),
            unknown: with_now!("node_unknown.lua"),
            forget: Script::new(include_str!("../scripts/node_forget.lua")),
        }
    }

    /// Says that this node is alive.
    pub(super) async fn renew(&self, link: &Link) -> Result<Renewal, LinkError> {
        let said: String = self.renew.run(link, "renew the node's lease", &[link.keys().nodes()], own(link)).await?;
        Ok(match said.as_str() {
            "kept" => Renewal::Kept,
            "late" => Renewal::Late,
            _ => Renewal::Unknown,
        })
    }

    /// Nodes that were not heard of in time; from now on they count as lost, until they renew.
    pub(super) async fn lost(&self, link: &Link) -> Result<Vec<NodeId>, LinkError> {
        let mut args = own(link);
        args.push(LOST_AT_ONCE.into());
        let nodes: Vec<String> = self.lost.run(link, "look for lost nodes", &[link.keys().nodes()], args).await?;
        Ok(legal(&nodes))
    }

    /// Those of these nodes that are neither alive nor lost: nobody would sweep them.
    pub(super) async fn unknown(&self, link: &Link, nodes: Vec<String>) -> Result<Vec<NodeId>, LinkError> {
        let args = own(link).into_iter().chain(nodes.into_iter().map(Value::from)).collect();
        let nodes: Vec<String> = self.unknown.run(link, "look for unknown nodes", &[link.keys().nodes()], args).await?;
        Ok(legal(&nodes))
    }

    /// Whether this node is the one that ends a lost node's leases; it stays so until it has not asked for a while.
    pub(super) async fn takes_on(&self, link: &Link, node: &NodeId) -> Result<bool, LinkError> {
        let (key, me) = (link.keys().sweep(node), link.node().as_str());
        let expiry = Expiration::PX((link.config().node_lease.sweep_interval() * 2).as_millis() as i64);
        let failed = |source| link.failed("take on a lost node", &key, source);
        let set = async |client: WithOptions<Client>| {
            client.set(&key, me, Some(expiry.clone()), Some(SetOptions::NX), false).await
        };
        let set: Option<String> = link.at_key(&key, set).await.map_err(failed)?;
        if set.is_some() {
            return Ok(true);
        }
        let get = async |client: WithOptions<Client>| client.get(&key).await;
        let taken_by: Option<String> = link.at_key(&key, get).await.map_err(failed)?;
        Ok(taken_by.as_deref() == Some(me))
    }

    /// Whether a node is still lost or unknown.
    pub(super) async fn is_gone(&self, link: &Link, node: &NodeId) -> Result<bool, LinkError> {
        let key = link.keys().nodes();
        let score = async |client: WithOptions<Client>| client.zscore(&key, node.as_str()).await;
        let until: Result<Option<f64>, _> = link.at_key(&key, score).await;
        let until = until.map_err(|source| link.failed("look at a lost node", &key, source))?;
        Ok(until.is_none_or(|until| until == 0.0))
    }

    /// Forgets a lost node whose leases are all ended. Whether it was still lost.
    pub(super) async fn forget(&self, link: &Link, node: &NodeId) -> Result<bool, LinkError> {
        let args = vec![node.as_str().into()];
        let forgotten: i64 = self.forget.run(link, "forget a lost node", &[link.keys().nodes()], args).await?;
        if forgotten == 1 {
            self.forget_tenants(link, node).await?;
        }
        Ok(forgotten == 1)
    }

    /// This node holds nothing any more and ends.
    pub(super) async fn depart(&self, link: &Link) -> Result<(), LinkError> {
        let key = link.keys().nodes();
        let remove = async |client: WithOptions<Client>| client.zrem(&key, link.node().as_str()).await;
        let removed: Result<(), _> = link.at_key(&key, remove).await;
        removed.map_err(|source| link.failed("take leave as a node", &key, source))?;
        self.forget_tenants(link, link.node()).await
    }

    /// This node ends, and its leases for users whom it sent elsewhere with it, but not before: then the others take
    /// it for lost.
    pub(super) async fn depart_at(&self, link: &Link, after: Duration) -> Result<(), LinkError> {
        let args = vec![link.node().as_str().into(), (after.as_millis() as i64 + 1).into()];
        let _kept: String = self.renew.run(link, "take leave as a node", &[link.keys().nodes()], args).await?;
        Ok(())
    }

    async fn forget_tenants(&self, link: &Link, node: &NodeId) -> Result<(), LinkError> {
        let key = link.keys().node_tenants(node);
        let removed: Result<(), _> =
            link.at_key(&key, async |client: WithOptions<Client>| client.del(&key).await).await;
        removed.map_err(|source| link.failed("forget a node's tenants", &key, source))
    }

    /// Says that this node may hold leases in a tenant; before it holds any, and again at times.
    pub(super) async fn register(&self, link: &Link, tenant: &TenantId) -> Result<(), LinkError> {
        let key = link.keys().node_tenants(link.node());
        let add = async |client: WithOptions<Client>| client.sadd(&key, tenant.as_str()).await;
        let expire = async |client: WithOptions<Client>| client.pexpire(&key, TENANTS_EXPIRY_MS, None).await;
        let (added, expires): (Result<(), _>, Result<(), _>) =
            tokio::join!(link.at_key(&key, add), link.at_key(&key, expire));
        added.and(expires).map_err(|source| link.failed("say which tenants it serves", &key, source))
    }

    /// The tenants in which a node may hold leases.
    pub(super) async fn tenants(&self, link: &Link, node: &NodeId) -> Result<Vec<TenantId>, LinkError> {
        let key = link.keys().node_tenants(node);
        let members = async |client: WithOptions<Client>| client.smembers(&key).await;
        let tenants: Result<Vec<String>, _> = link.at_key(&key, members).await;
        let tenants = tenants.map_err(|source| link.failed("read a lost node's tenants", &key, source))?;
        Ok(tenants.iter().filter_map(|tenant| TenantId::parse(tenant).ok()).collect())
    }
}

fn own(link: &Link) -> Vec<Value> {
    vec![link.node().as_str().into(), (link.config().node_lease.length().as_millis() as i64).into()]
}

fn legal(nodes: &[String]) -> Vec<NodeId> {
    nodes.iter().filter_map(|node| NodeId::parse(node).ok()).collect()
}
