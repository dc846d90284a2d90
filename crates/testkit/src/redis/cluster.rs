//! A real Redis Cluster of masters.

use super::cli::{Cli, field};
use super::slots::{SLOTS, SlotMap};
use super::{RedisServer, RedisSpec};
use crate::port::HeldPort;
use crate::{PATIENCE, eventually};

/// How many keys of a moving slot go in one command.
const BATCH: &str = "100";
/// How long one such command may take, in milliseconds.
const MIGRATE_TIMEOUT_MS: &str = "5000";

/// A cluster of masters without replicas, all slots assigned; killed when dropped.
///
/// A node that is killed takes only its own slots with it (`cluster-require-full-coverage no`), and comes
/// back by its `restart` with the same identity and slots, without keys.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    // What the nodes talk to each other on. Given back after they have ended.
    _buses: Vec<HeldPort>,
}

impl RedisCluster {
    /// Starts so many masters and waits until all of them agree that the cluster is complete.
    ///
    /// # Panics
    /// When there are less than three, which `redis-cli` refuses, or when they do not agree in time.
    pub async fn start(n_masters: usize) -> Self {
        let buses: Vec<_> = (0..n_masters).map(|_| HeldPort::take()).collect();
        let mut nodes = Vec::new();
        for bus in &buses {
            nodes.push(node(bus).start().await);
        }
        let cluster = Self { nodes, _buses: buses };
        let addrs: Vec<_> = cluster.nodes.iter().map(RedisServer::addr).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addrs.iter().map(String::as_str));
        create.extend(["--cluster-replicas", "0", "--cluster-yes"]);
        cluster.nodes[0].cli(&create).await;
        eventually("all nodes see a complete cluster", PATIENCE, || cluster.is_complete()).await;
        cluster
    }

    /// Where a client finds it: `redis-cluster://127.0.0.1:P1?node=127.0.0.1:P2&node=127.0.0.1:P3`.
    pub fn url(&self) -> String {
        let addrs: Vec<_> = self.nodes.iter().map(RedisServer::addr).collect();
        format!("redis-cluster://{}?node={}", addrs[0], addrs[1..].join("&node="))
    }

    /// Its nodes; methods that name one mean an index in here.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Its nodes, to kill and to restart.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// Runs one command with the real `redis-cli` on the node that it concerns, found from the first one.
    ///
    /// # Panics
    /// As [`RedisServer::cli`] does.
    pub async fn cli(&self, args: &[&str]) -> String {
        Cli { follows: true, ..Cli::new(self.nodes[0].port()) }.run(args).await
    }

    /// The slot of a key or of a sharded channel.
    pub async fn slot_of(&self, key: &str) -> u16 {
        let slot = self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key]).await;
        slot.parse().expect("CLUSTER KEYSLOT answers a number")
    }

    /// The node that owns a slot, as the first one sees it.
    ///
    /// # Panics
    /// When nobody owns it.
    pub async fn owner_of(&self, slot: u16) -> usize {
        let port = self.seen_by(&self.nodes[0]).await.owner(slot);
        let owner = self.nodes.iter().position(|node| Some(node.port()) == port);
        owner.unwrap_or_else(|| panic!("nobody owns slot {slot}"))
    }

    /// Moves a slot with all its keys to another node while clients go on, and waits until all nodes know.
    ///
    /// # Panics
    /// When it is there already, or when a node refuses.
    pub async fn migrate_slot(&self, slot: u16, to: usize) {
        let from = self.owner_of(slot).await;
        assert!(from != to, "slot {slot} is on node {to} already");
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let (source_id, target_id) = (id(source).await, id(target).await);
        let number = slot.to_string();
        target.cli(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &source_id]).await;
        source.cli(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &target_id]).await;
        move_keys(&number, source, target).await;
        // The target first: otherwise there is a moment in which neither takes the slot for its own.
        let others = (0..self.nodes.len()).filter(|&index| index != from && index != to);
        for index in [to, from].into_iter().chain(others) {
            self.nodes[index].cli(&["CLUSTER", "SETSLOT", &number, "NODE", &target_id]).await;
        }
        eventually("all nodes know the new owner", PATIENCE, || self.all_see(slot, target.port())).await;
    }

    async fn seen_by(&self, node: &RedisServer) -> SlotMap {
        SlotMap::parse(&node.cli(&["CLUSTER", "NODES"]).await)
    }

    async fn all_see(&self, slot: u16, owner: u16) -> bool {
        for node in &self.nodes {
            if self.seen_by(node).await.owner(slot) != Some(owner) {
                return false;
            }
        }
        true
    }

    async fn is_complete(&self) -> bool {
        let first = self.seen_by(&self.nodes[0]).await;
        for node in &self.nodes {
            let info = node.cli(&["CLUSTER", "INFO"]).await;
            if field(&info, "cluster_state") != Some("ok") || self.seen_by(node).await != first {
                return false;
            }
        }
        first.n_nodes() == self.nodes.len() && first.n_assigned() == SLOTS
    }
}

fn node(bus: &HeldPort) -> RedisSpec {
    RedisSpec::new()
        .setting("cluster-enabled", "yes")
        .setting("cluster-port", &bus.number().to_string())
        .setting("cluster-node-timeout", "2000")
        .setting("cluster-require-full-coverage", "no")
}

async fn id(node: &RedisServer) -> String {
    node.cli(&["CLUSTER", "MYID"]).await
}

async fn move_keys(slot: &str, source: &RedisServer, target: &RedisServer) {
    let port = target.port().to_string();
    loop {
        let keys = source.cli(&["CLUSTER", "GETKEYSINSLOT", slot, BATCH]).await;
        if keys.is_empty() {
            return;
        }
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", MIGRATE_TIMEOUT_MS, "KEYS"];
        migrate.extend(keys.lines());
        source.cli(&migrate).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn it_spreads_keys_and_a_slot_moves_with_its_keys() {
        let cluster = RedisCluster::start(3).await;
        let ports: Vec<_> = cluster.nodes().iter().map(RedisServer::port).collect();
        let url =
            format!("redis-cluster://127.0.0.1:{}?node=127.0.0.1:{}&node=127.0.0.1:{}", ports[0], ports[1], ports[2]);
        assert_eq!(cluster.url(), url);

        let slot = cluster.slot_of("{tenant-1}").await;
        for n in 0..5 {
            assert_eq!(cluster.cli(&["SET", &format!("{{tenant-1}}:{n}"), "value"]).await, "OK");
        }
        let from = cluster.owner_of(slot).await;
        let to = (from + 1) % 3;
        cluster.migrate_slot(slot, to).await;
        assert_eq!(cluster.owner_of(slot).await, to);
        assert_eq!(cluster.nodes()[from].cli(&["DBSIZE"]).await, "0");
        assert_eq!(cluster.nodes()[to].cli(&["GET", "{tenant-1}:4"]).await, "value");
        assert_eq!(cluster.cli(&["GET", "{tenant-1}:0"]).await, "value");
    }

    async fn key_on(cluster: &RedisCluster, node: usize) -> String {
        for n in 0..1000 {
            let key = format!("key-{n}");
            if cluster.owner_of(cluster.slot_of(&key).await).await == node {
                return key;
            }
        }
        panic!("no key on node {node}")
    }

    #[tokio::test]
    async fn a_killed_node_takes_only_its_slots_and_comes_back_with_them() {
        let mut cluster = RedisCluster::start(3).await;
        let (near, far) = (cluster.owner_of(0).await, cluster.owner_of(16_383).await);
        let key = key_on(&cluster, near).await;
        cluster.nodes_mut()[far].kill().await;
        TcpStream::connect(cluster.nodes()[far].addr()).await.expect_err("it is gone");
        let node = &cluster.nodes()[near];
        eventually(
            "its loss is seen",
            PATIENCE,
            || async move { node.cli(&["CLUSTER", "NODES"]).await.contains("fail") },
        )
        .await;
        assert_eq!(node.cli(&["SET", &key, "value"]).await, "OK");

        cluster.nodes_mut()[far].restart().await;
        eventually("the cluster is complete again", PATIENCE, || cluster.is_complete()).await;
        assert_eq!(cluster.owner_of(16_383).await, far);
    }
}
