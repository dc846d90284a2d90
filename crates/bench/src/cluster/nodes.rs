//! Two nodes of ours around one Redis.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use super::loads::Load;
use super::redis::Redis;
use crate::call::Caller;
use crate::clock::{now, pause};
use crate::programs::Programs;
use crate::spec::{Cluster, Outcome, Phases, Task};
use crate::subject::Subject;

/// Longest wait until a node is ready.
const READY_DEADLINE: Duration = Duration::from_secs(20);
const READY_STEP: Duration = Duration::from_millis(50);

/// Node A, node B and the Redis between them; end with this value.
#[derive(Debug)]
pub(crate) struct Nodes {
    // Ended before the Redis they use.
    a: Subject,
    b: Subject,
    pub(crate) redis: Redis,
}

impl Nodes {
    /// Starts all three and waits until both nodes are ready, that is, hang together.
    pub(crate) fn start(programs: &Programs) -> Result<Self> {
        let redis = Redis::start()?;
        let [a, b] = [(); 2].map(|()| Subject::start_server(programs, &[("REDIS_URL", &redis.url())]));
        let nodes = Self { a: a?, b: b?, redis };
        for node in [&nodes.a, &nodes.b] {
            wait_until_ready(node.address())?;
        }
        Ok(nodes)
    }

    /// Publishes at A as the load says.
    pub(crate) fn measure(&self, programs: &Programs, load: &Load, phases: Phases) -> Result<Cluster> {
        let Load { here, there, publishing, .. } = *load;
        let task = Task::Cluster { other: self.b.address(), here, there, publishing, phases };
        match self.a.measure_with(programs, task, &[self.b.pid(), self.redis.pid()])? {
            Outcome::Cluster(cluster) => Ok(cluster),
            _ => bail!("the load client did something else"),
        }
    }
}

fn wait_until_ready(address: SocketAddr) -> Result<()> {
    let started = now();
    loop {
        let said = match Caller::connect(address).and_then(|mut caller| caller.get("/readyz")) {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => answer.body,
            Err(error) => error.to_string(),
        };
        if started.elapsed() > READY_DEADLINE {
            bail!("the node at {address} is not ready:\n{said}");
        }
        pause(READY_STEP);
    }
}
