//! The clients for commands: one, and in a cluster one for each master.
//!
//! The library would serve all masters of a cluster from one task. One that takes nothing then holds up what is meant
//! for the others as soon as its connection is full, and when one is gone, the connections to all are given up until
//! every slot has a master again. So here each has a client of its own, and who owns which slot is looked after by
//! us.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::cluster::ClusterRouting;
use fred::types::config::Server;
use hookswitch_protocol::Chain;
use tokio::time::Instant;

use super::clients::{self, RedisSetupError};
use super::running_client::RunningClient;
use crate::config::{RedisConfig, Topology};

/// How old a connection is at least when it is given up: one takes its time to be made.
const LEAST_AGE: Duration = Duration::from_secs(3);

/// The clients, and which master owns which slot as last heard of.
#[derive(Debug)]
pub(super) struct CommandClients {
    config: RedisConfig,
    state: Mutex<State>,
    /// For one at a time who was told that a slot is elsewhere: the others learn it from him.
    pub(super) learning: tokio::sync::Mutex<()>,
    n_asked: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// By server; `None` is the only one.
    clients: HashMap<Option<Server>, CommandClient>,
    slots: Option<Arc<ClusterRouting>>,
}

#[derive(Debug)]
struct CommandClient {
    running: RunningClient,
    made: Instant,
}

impl CommandClient {
    fn make(config: &RedisConfig, server: Option<&Server>) -> Result<Self, RedisSetupError> {
        let client = clients::client_of(config, server)?;
        Ok(Self { running: RunningClient::start(client, server.cloned()), made: Instant::now() })
    }
}

impl CommandClients {
    /// Lets the first ones connect: to the only server, or to those of a cluster that the settings name.
    pub(super) fn start(config: RedisConfig) -> Result<Self, RedisSetupError> {
        let first = match &config.topology {
            Topology::Cluster(_) => clients::configured_servers(&config.topology).into_iter().map(Some).collect(),
            Topology::Single(_) | Topology::Sentinel { .. } => vec![None],
        };
        let (state, learning, n_asked) = (Mutex::default(), tokio::sync::Mutex::default(), AtomicUsize::new(0));
        let all = Self { config, state, learning, n_asked };
        for server in first {
            all.client(server.as_ref())?;
        }
        Ok(all)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client for a server, made when there is none.
    pub(super) fn client(&self, server: Option<&Server>) -> Result<Client, RedisSetupError> {
        let (mut state, key) = (self.state(), server.cloned());
        if let Some(found) = state.clients.get(&key) {
            return Ok(found.running.client().clone());
        }
        let made = CommandClient::make(&self.config, server)?;
        let client = made.running.client().clone();
        state.clients.insert(key, made);
        Ok(client)
    }

    /// All there are.
    pub(super) fn all(&self) -> Vec<Client> {
        self.state().clients.values().map(|client| client.running.client().clone()).collect()
    }

    /// Which master owns a slot, as last heard of.
    pub(super) fn owner(&self, slot: u16) -> Option<Server> {
        self.state().slots.as_ref()?.get_server(slot).cloned()
    }

    /// Who owns which slot, as last heard of.
    pub(super) fn slots(&self) -> Option<Arc<ClusterRouting>> {
        self.state().slots.clone()
    }

    /// Takes in who owns which slot: every master has a client from now on, and nobody else.
    pub(super) fn note(&self, slots: ClusterRouting) -> Arc<ClusterRouting> {
        let (masters, slots) = (slots.unique_primary_nodes(), Arc::new(slots));
        for server in &masters {
            if let Err(error) = self.client(Some(server)) {
                tracing::error!(%server, error = %Chain(&error), "no client for a master of the cluster");
            }
        }
        let mut state = self.state();
        state.clients.retain(|server, _| server.as_ref().is_some_and(|server| masters.contains(server)));
        state.slots = Some(Arc::clone(&slots));
        slots
    }

    /// Whom to ask who owns which slot: the known masters, each time another one first, and those that the settings
    /// name.
    pub(super) fn knowing(&self) -> Vec<Server> {
        let mut servers = self.slots().map(|slots| slots.unique_primary_nodes()).unwrap_or_default();
        let n_asked = self.n_asked.fetch_add(1, Ordering::Relaxed);
        let first = n_asked.checked_rem(servers.len()).unwrap_or(0);
        servers.rotate_left(first);
        let named = clients::configured_servers(&self.config.topology);
        servers.extend(named);
        servers
    }

    /// Gives the connection to a server up, with all that waits for an answer over it, and makes another. Not one that
    /// is new, or being made anew already. Whether it did.
    pub(super) fn replace(&self, server: Option<&Server>) -> bool {
        let mut state = self.state();
        let Some(present) = state.clients.get_mut(&server.cloned()) else { return false };
        if present.made.elapsed() < LEAST_AGE || !present.running.client().is_connected() {
            return false;
        }
        match CommandClient::make(&self.config, server) {
            Ok(made) => {
                *present = made;
                true
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "no other connection for commands");
                false
            }
        }
    }
}
