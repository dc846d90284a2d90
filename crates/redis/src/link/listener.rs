//! A client that listens over one connection to one server.
//!
//! Also in a cluster: what is published is told by every master to all of its own listeners, so one connection
//! is enough, and it can be given up and made anew without touching those to other masters.

use fred::clients::Client;
use fred::interfaces::{ClientLike as _, EventInterface as _};
use fred::types::Message;
use fred::types::config::Server;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;

use super::Link;
use super::clients;
use crate::config::Topology;

/// The client, and the task that reads for it, which ends with this.
#[derive(Debug)]
pub(crate) struct Listener {
    client: Client,
    /// Which one, where there are several.
    server: Option<Server>,
    task: AbortHandle,
}

impl Listener {
    /// Lets a client connect, now or whenever there is something to connect to.
    pub(crate) fn start(client: Client, server: Option<Server>) -> Self {
        let task = client.connect().abort_handle();
        Self { client, server, task }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }
}

impl Drop for Listener {
    /// A connection over which nothing comes back cannot be closed in good order.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Gives the connection that listens up, and makes another: in a cluster, to the next master. Gives where its
    /// messages come out; nothing is subscribed to yet.
    ///
    /// # Errors
    /// What the client says of the settings, which it took before.
    pub(crate) fn replace_listener(&self) -> Result<broadcast::Receiver<Message>, clients::RedisSetupError> {
        let server = match self.config().topology {
            Topology::Cluster(_) => self.next_server(self.listener().server()),
            Topology::Single(_) | Topology::Sentinel { .. } => None,
        };
        let client = clients::listening_client(self.config(), server.as_ref())?;
        let messages = client.message_rx();
        let fresh = Listener::start(client, server);
        // The old one ends here, outside of the lock.
        let _given_up = std::mem::replace(&mut *self.listener(), fresh);
        self.metrics().reconnections.inc();
        Ok(messages)
    }

    /// The master behind this one, in turn; a configured server while none are known.
    fn next_server(&self, now: Option<&Server>) -> Option<Server> {
        let mut servers: Vec<Server> = self.servers().into_iter().flatten().collect();
        if servers.is_empty() {
            servers = clients::configured_servers(&self.config().topology);
        }
        let place = servers.iter().position(|server| Some(server) == now);
        let next = place.map_or(0, |place| (place + 1) % servers.len().max(1));
        servers.into_iter().nth(next)
    }
}
