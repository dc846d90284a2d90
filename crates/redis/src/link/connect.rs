//! Makes all clients of a node.

use std::hash::{BuildHasher as _, RandomState};

use hookswitch_protocol::NodeId;
use hookswitch_runtime::Clock;

use super::Link;
use super::clients::{self, RedisSetupError};
use super::command_clients::CommandClients;
use super::running_client::RunningClient;
use crate::config::{RedisConfig, Topology};

/// Makes the clients and lets them connect, now or whenever there is something to connect to.
///
/// Also in a cluster one connection listens: what is published is told by every master to all of its own listeners,
/// and so the connection can be given up and made anew without touching any other.
pub(crate) fn connect(config: RedisConfig, node: NodeId, clock: Clock) -> Result<Link, RedisSetupError> {
    let commands = CommandClients::start(config.clone())?;
    let first = match &config.topology {
        // Not all nodes at the same one.
        Topology::Cluster(hosts) => {
            hosts.get(RandomState::new().hash_one(&node) as usize % hosts.len().max(1)).map(clients::one)
        }
        Topology::Single(_) | Topology::Sentinel { .. } => None,
    };
    let listener = RunningClient::start(clients::client_of(&config, first.as_ref())?, first);
    Ok(Link::new(config, node, clock, commands, listener))
}
