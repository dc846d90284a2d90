//! A real master and its replica, watched by three sentinels.

use std::sync::Arc;

use tempfile::TempDir;

use super::cli::{Cli, field};
use super::{RedisServer, RedisSpec};
use crate::process::{Launch, Process};
use crate::{PATIENCE, eventually, eventually_some};

/// The name under which the sentinels know the master.
const SERVICE: &str = "hub";
const N_SENTINELS: usize = 3;
const INFO: [&str; 2] = ["INFO", "replication"];

/// In milliseconds. Sentinels look at servers every 10 s and talk to each other every 2 s; four times the latter
/// must pass before they put a former master in its place. A machine so busy that their timer is 2 s late makes
/// them do nothing for 30 s ("tilt"). Neither is what a test wants to wait for.
const PERIODS: &[&str] =
    &["info-period", "500", "publish-period", "250", "tilt-trigger", "60000", "tilt-period", "1000"];

/// A master, a replica and three sentinels, two of which must agree; killed when dropped.
///
/// A master that is silent for a second is down for the sentinels. It is called `hub`. They look more often than
/// their defaults say, so that a test need not wait for what takes half a minute in production.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [RedisServer; 2],
    sentinels: Vec<Process<Cli>>,
}

impl RedisSentinel {
    /// Starts all five and waits until the replica is in sync and the sentinels see it and each other.
    ///
    /// # Panics
    /// When they are not installed or do not agree in time.
    pub async fn start() -> Self {
        // With its default the master waits 5 s for more replicas before it sends anything to the first one.
        let master = RedisSpec::new().setting("repl-diskless-sync-delay", "0");
        let master = master.start().await;
        let of_master = format!("127.0.0.1 {}", master.port());
        let replica = RedisSpec::new().setting("repl-diskless-sync-delay", "0").setting("replicaof", &of_master);
        let replica = replica.start().await;
        let mut sentinels = Vec::new();
        for _ in 0..N_SENTINELS {
            let sentinel = Process::start(|port| launch(port, master.port())).await;
            sentinel.cli().run(&[&["SENTINEL", "DEBUG"], PERIODS].concat()).await;
            sentinels.push(sentinel);
        }
        let all = Self { servers: [master, replica], sentinels };
        // A replica is in sync a second before the first write goes to it; this one leaves nothing behind.
        all.servers[0].cli(&["PUBLISH", "testkit", "are you there?"]).await;
        all.replicated().await;
        eventually("the sentinels see the replica and each other", PATIENCE, || all.is_complete()).await;
        all
    }

    /// Where a client finds it: `redis-sentinel://127.0.0.1:S1/0?service=hub&node=127.0.0.1:S2&node=127.0.0.1:S3`.
    pub fn url(&self) -> String {
        let addrs: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        format!("redis-sentinel://{}/0?service={SERVICE}&node={}", addrs[0], addrs[1..].join("&node="))
    }

    /// The servers: first the one that was the master at the start, then the one that was its replica.
    pub fn servers(&self) -> &[RedisServer; 2] {
        &self.servers
    }

    /// The servers, to kill and to restart. A former master comes back as a replica of the new one, once the
    /// sentinels have noticed it.
    pub fn servers_mut(&mut self) -> &mut [RedisServer; 2] {
        &mut self.servers
    }

    /// The port of the master, as the sentinels say.
    pub async fn master_port(&self) -> u16 {
        let answer = self.sentinels[0].cli().run(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await;
        answer.lines().last().and_then(|port| port.parse().ok()).expect("an address of a host and a port")
    }

    /// Waits until the replica has everything that the master has taken so far; what it lacks is lost with the master.
    ///
    /// # Panics
    /// When there is no replica that follows the master, or none does in time.
    pub async fn replicated(&self) {
        eventually("the replica has what the master has", PATIENCE * 2, || async {
            let port = self.master_port().await;
            let (masters, replicas): (Vec<_>, Vec<_>) = self.servers.iter().partition(|server| server.port() == port);
            let (master, replica) = (masters[0].cli(&INFO).await, replicas[0].cli(&INFO).await);
            let offset = field(&master, "master_repl_offset");
            field(&replica, "master_port") == Some(port.to_string().as_str())
                && field(&replica, "master_link_status") == Some("up")
                && offset != Some("0")
                && field(&replica, "slave_repl_offset") == offset
        })
        .await;
    }

    /// Kills the master without a word and returns its port. The sentinels take a second or two to make the
    /// replica the new one; [`Self::new_master`] waits for that.
    pub async fn kill_master(&mut self) -> u16 {
        let port = self.master_port().await;
        let master = self.servers.iter_mut().find(|server| server.port() == port);
        master.expect("the master is one of the two").kill().await;
        port
    }

    /// Has the sentinels exchange the roles of master and replica, both alive, and returns the new master's port
    /// when it has taken over. What was written before the call is on both.
    ///
    /// # Panics
    /// When they do not; a server that is down, say after [`Self::kill_master`], is a reason.
    pub async fn fail_over(&self) -> u16 {
        self.replicated().await;
        let old = self.master_port().await;
        eventually("the sentinels agree to fail over", PATIENCE, || async {
            // They refuse while they know of no good replica, or a fail-over is under way.
            self.sentinels[0].cli().try_run(&["SENTINEL", "FAILOVER", SERVICE]).await.is_ok()
        })
        .await;
        self.new_master(old).await
    }

    /// Waits until all sentinels name another master than the one on port `old`, and that one takes writes;
    /// returns its port.
    ///
    /// # Panics
    /// When that does not happen in time.
    pub async fn new_master(&self, old: u16) -> u16 {
        eventually_some("another master takes over", PATIENCE * 2, || async {
            let new = self.servers.iter().find(|server| server.port() != old)?;
            for sentinel in &self.sentinels {
                let named = sentinel.cli().run(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await;
                named.ends_with(&format!("\n{}", new.port())).then_some(())?;
            }
            let info = new.cli(&INFO).await;
            (field(&info, "role") == Some("master")).then(|| new.port())
        })
        .await
    }

    async fn is_complete(&self) -> bool {
        for sentinel in &self.sentinels {
            let master = sentinel.cli().run(&["SENTINEL", "MASTER", SERVICE]).await;
            let (replicas, others) = (value(&master, "num-slaves"), value(&master, "num-other-sentinels"));
            if (replicas, others) != (Some("1"), Some("2")) {
                return false;
            }
        }
        true
    }
}

/// The line after the one that is `name`, in an answer of names and values.
fn value<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = answer.lines();
    lines.find(|line| *line == name)?;
    lines.next()
}

/// A sentinel keeps what it learns in its configuration file, so each has its own.
fn launch(port: u16, master: u16) -> Launch<Cli> {
    let dir = Arc::new(TempDir::new().expect("a temporary directory"));
    let config = format!(
        "port {port}\n\
         bind 127.0.0.1\n\
         sentinel monitor {SERVICE} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {SERVICE} 1000\n\
         sentinel failover-timeout {SERVICE} 5000\n"
    );
    std::fs::write(dir.path().join("sentinel.conf"), config).expect("a temporary directory can be written");
    Launch { program: "redis-sentinel", args: vec!["sentinel.conf".to_owned()], dir, cli: Cli::new(port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_master_is_replaced_and_comes_back_as_a_replica() {
        let mut all = RedisSentinel::start().await;
        let ports: Vec<_> = all.sentinels.iter().map(Process::port).collect();
        let first = format!("redis-sentinel://127.0.0.1:{}/0?service=hub&node=127.0.0.1:{}&", ports[0], ports[1]);
        assert!(all.url().starts_with(&first), "{}", all.url());
        assert_eq!(all.master_port().await, all.servers()[0].port());
        all.servers()[0].cli(&["SET", "key", "value"]).await;
        all.replicated().await;

        let old = all.kill_master().await;
        let new = all.new_master(old).await;
        assert_eq!((old, new), (all.servers()[0].port(), all.servers()[1].port()));
        assert_eq!(all.servers()[1].cli(&["GET", "key"]).await, "value");
        assert_eq!(all.servers()[1].cli(&["SET", "key", "later"]).await, "OK");

        all.servers_mut()[0].restart().await;
        all.replicated().await;
        assert_eq!(all.servers()[0].cli(&["GET", "key"]).await, "later");
    }

    #[tokio::test]
    async fn roles_are_exchanged_on_request_with_nothing_lost() {
        let all = RedisSentinel::start().await;
        all.servers()[0].cli(&["SET", "key", "value"]).await;
        let new = all.fail_over().await;
        assert_eq!(new, all.servers()[1].port());
        assert_eq!(all.master_port().await, new);
        assert_eq!(all.servers()[1].cli(&["GET", "key"]).await, "value");
    }
}
