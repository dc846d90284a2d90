//! Several nodes and one Redis: nobody outside can tell that there is more than one.

mod events;
mod offline;
mod outages;
mod presence;
mod resume;
mod sessions;
mod topologies;
mod traces;

use std::collections::BTreeSet;
use std::time::Duration;

use hookswitch_testkit::{PATIENCE, RedisServer, RedisSpec, WsClient, eventually};
use serde_json::{Value, json};

use crate::stage::Stage;

/// How long a node may need to notice that Redis is gone, hangs or is back.
const NOTICED: Duration = Duration::from_secs(15);

/// Nodes that share one Redis.
pub(crate) struct Cluster {
    pub(crate) redis: RedisServer,
    pub(crate) nodes: Vec<Stage>,
}

impl Cluster {
    pub(crate) async fn start(n_nodes: usize) -> Self {
        let redis = RedisSpec::new().start().await;
        let nodes = nodes(&redis.url(), n_nodes).await;
        Self { redis, nodes }
    }

    /// The first two nodes.
    pub(crate) fn pair(&self) -> (&Stage, &Stage) {
        (&self.nodes[0], &self.nodes[1])
    }

    pub(crate) async fn until_all(&self, status: u16, state: &str) {
        for node in &self.nodes {
            until_readiness(node, status, state).await;
        }
    }
}

/// What the node's `/metrics` and the table in `docs/operations.md` name, each without what is only named
/// once it was counted.
#[tokio::test]
async fn the_operators_page_names_every_metric_and_no_other() {
    let cluster = Cluster::start(1).await;
    let page = cluster.nodes[0].node.api().get("/metrics").await.text();
    let counted_later = "hookswitch_events_refused_total";
    let printed = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let printed: BTreeSet<&str> = printed.filter(|name| *name != counted_later).collect();
    let documents = include_str!("../../../../../docs/operations.md");
    let rows = documents.lines().filter_map(|line| line.strip_prefix("| `hookswitch_")?.split(['`', '{']).next());
    let told: BTreeSet<String> = rows.map(|name| format!("hookswitch_{name}")).collect();
    let told: BTreeSet<&str> = told.iter().map(String::as_str).filter(|name| *name != counted_later).collect();
    assert_eq!(printed, told);
}

/// Nodes that found each other through this Redis.
pub(crate) async fn nodes(url: &str, n_nodes: usize) -> Vec<Stage> {
    let mut nodes = Vec::new();
    for _ in 0..n_nodes {
        let node = Stage::with(&[("REDIS_URL", url)]).await;
        until_readiness(&node, 200, "ready").await;
        nodes.push(node);
    }
    nodes
}

/// Waits until `/readyz` says this.
pub(crate) async fn until_readiness(node: &Stage, status: u16, state: &str) {
    eventually(&format!("{} is {state}", node.addr()), NOTICED, async || {
        let answer = node.node.api().get("/readyz").await;
        answer.status == status && answer.json()["status"] == state
    })
    .await;
}

/// What `/ws/users/{id}/online` says at this node.
pub(crate) async fn online(node: &Stage, user: i64) -> Value {
    node.service().get(&format!("/ws/users/{user}/online")).await.json()
}

/// Waits until every node says so of this user.
pub(crate) async fn until_online(nodes: &[Stage], user: i64, n_connections: u32) {
    let wanted = json!({"user_id": user, "is_online": n_connections > 0, "connection_count": n_connections});
    for node in nodes {
        eventually(&format!("{} says {wanted}", node.addr()), PATIENCE, async || online(node, user).await == wanted)
            .await;
    }
}

/// The events of a type that came with numbers, in the order they came, until this many are there.
pub(crate) async fn numbers(client: &mut WsClient, n_events: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < n_events {
        let event = client.next_event(NOTICED).await;
        numbers.extend(event["payload"]["n"].as_u64());
    }
    numbers
}
