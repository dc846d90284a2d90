//! How many connections each node has, told in a hash that all of them write and read.

use std::collections::HashMap;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::HashesInterface as _;
use hookswitch_protocol::Timestamp;

use super::RedisPresence;
use crate::link::LinkError;

/// A number that was not said anew for so long is that of a node which is gone. Clocks may differ by seconds.
const FRESH: Duration = Duration::from_secs(20);

/// After so long nothing of a node that is gone stays here.
const FORGOTTEN: Duration = Duration::from_mins(10);

impl RedisPresence {
    /// Tells this node's number, or takes it back; gives those of all nodes.
    pub(super) async fn exchange(&self, n_connections: Option<u64>) -> Result<Vec<u64>, LinkError> {
        self.link.ready()?;
        let key = self.link.keys().node_connections();
        let (node, now) = (self.link.node().as_str(), self.link.clock().now());
        let tell = async |client: WithOptions<Client>| match n_connections {
            Some(n) => client.hset(&key, (node, format!("{n} {}", now.as_millis()))).await,
            None => client.hdel(&key, node).await,
        };
        let told: Result<(), _> = self.link.at_key(&key, tell).await;
        told.map_err(|source| self.link.failed("tell the number of connections", &key, source))?;
        let read = async |client: WithOptions<Client>| client.hgetall(&key).await;
        let all: Result<HashMap<String, String>, _> = self.link.at_key(&key, read).await;
        let all = all.map_err(|source| self.link.failed("read numbers of connections", &key, source))?;
        let forgotten: Vec<String> =
            all.iter().filter(|(_, said)| age(said, now) > FORGOTTEN).map(|(node, _)| node.clone()).collect();
        if !forgotten.is_empty() {
            let forget = async |client: WithOptions<Client>| client.hdel(&key, forgotten.clone()).await;
            let removed: Result<(), _> = self.link.at_key(&key, forget).await;
            removed.map_err(|source| self.link.failed("forget numbers of connections", &key, source))?;
        }
        Ok(all.values().filter(|said| age(said, now) <= FRESH).filter_map(|said| number(said)).collect())
    }
}

/// What a node says: a number, and when that was.
fn number(said: &str) -> Option<u64> {
    said.split_once(' ')?.0.parse().ok()
}

/// For how long it has been said; what is no such thing is as old as can be.
fn age(said: &str, now: Timestamp) -> Duration {
    let at = said.split_once(' ').and_then(|(_, at)| at.parse().ok());
    at.map_or(Duration::MAX, |at| now.since(Timestamp::from_millis(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_said_has_a_number_and_an_age() {
        let now = Timestamp::from_millis(100_000);
        assert_eq!((number("42 90000"), age("42 90000", now)), (Some(42), Duration::from_secs(10)));
        assert_eq!(age("42 110000", now), Duration::ZERO, "another node's clock is ahead");
        assert_eq!((number("nonsense"), age("nonsense", now)), (None, Duration::MAX));
    }
}
