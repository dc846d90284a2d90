//! Two nodes of ours around one Redis.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::loads::Load;
use super::redis::Redis;
use crate::bench::spec::{Cluster, Outcome, Phases, Task};
use crate::bench::subject::{Programs, Subject};
use crate::clock::{now, pause};

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
        let [a, b] = [(); 2].map(|()| Subject::start_node(programs, &redis.url()));
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
        let said = readiness(address).unwrap_or_else(|error| error.to_string());
        if said.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        if started.elapsed() > READY_DEADLINE {
            bail!("the node at {address} is not ready:\n{said}");
        }
        pause(READY_STEP);
    }
}

fn readiness(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    stream.set_read_timeout(Some(READY_DEADLINE))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("no answer")?;
    Ok(answer)
}
