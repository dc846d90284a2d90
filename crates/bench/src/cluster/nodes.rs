//! Two nodes of ours around one Redis.

use std::time::Duration;

use anyhow::{Result, bail};
use hookswitch_testkit::{NodeProcess, RedisServer, RedisSpec, eventually};

use super::loads::Load;
use crate::programs::Programs;
use crate::spec::{Cluster, Outcome, Phases, Task};
use crate::subject::{address, measure, server};

/// Longest wait until a node is ready.
const READY_DEADLINE: Duration = Duration::from_secs(20);

/// Node A, node B and the Redis between them; end with this value.
#[derive(Debug)]
pub(crate) struct Nodes {
    // Ended before the Redis they use.
    a: NodeProcess,
    b: NodeProcess,
    pub(crate) redis: RedisServer,
}

impl Nodes {
    /// Starts all three and waits until both nodes are ready, that is, hang together.
    pub(crate) async fn start(programs: &Programs) -> Self {
        let redis = RedisSpec::new().start().await;
        let node = || server(&programs.server).env("REDIS_URL", &redis.url()).start();
        let (a, b) = (node().await, node().await);
        for node in [&a, &b] {
            let is_ready = || async { node.api().get("/readyz").await.status == 200 };
            eventually("the node is ready", READY_DEADLINE, is_ready).await;
        }
        Self { a, b, redis }
    }

    /// Publishes at A as the load says.
    pub(crate) async fn measure(&self, programs: &Programs, load: &Load, phases: Phases) -> Result<Cluster> {
        let Load { here, there, publishing, .. } = *load;
        let task = Task::Cluster { other: address(&self.b)?, here, there, publishing, phases };
        match measure(programs, &self.a, &[self.b.pid(), self.redis.pid()], task).await? {
            Outcome::Cluster(cluster) => Ok(cluster),
            _ => bail!("the load client did something else"),
        }
    }
}
