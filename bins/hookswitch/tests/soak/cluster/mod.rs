//! The long must-holds of several nodes over one Redis.

mod cut_off;
mod empty_redis;
mod flood;
mod kept;
mod lost_node;
mod proxies;
mod rolling_restart;

use std::time::Duration;

use futures_util::future::join_all;
use hookswitch_testkit::{NodeProcess, RawSocket, eventually};

use crate::stage::{agent_token, spec};

const DEADLINE: Duration = Duration::from_mins(5);

async fn nodes(url: &str, n_nodes: usize) -> Vec<NodeProcess> {
    // The checks choose the node of each connection, and it stays there.
    let spec = || spec().env("REDIS_URL", url).env("WS_BALANCE_RATE", "0");
    let nodes = join_all((0..n_nodes).map(|_| spec().start())).await;
    for node in &nodes {
        eventually("the node is ready", DEADLINE, async || node.api().get("/readyz").await.status == 200).await;
    }
    nodes
}

async fn connect(node: &NodeProcess, user: usize) -> RawSocket {
    let mut socket = RawSocket::connect(node.addr()).await.answering_pings();
    socket.upgrade("/ws", &agent_token(node, user)).await;
    socket
}
