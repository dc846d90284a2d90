//! Makes another connection to listen over, where nothing comes back over the one there is.

use fred::interfaces::EventInterface as _;
use fred::types::Message;
use fred::types::config::Server;
use tokio::sync::broadcast;

use super::Link;
use super::clients;
use super::running_client::RunningClient;
use crate::config::Topology;

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
        let client = clients::client_of(self.config(), server.as_ref())?;
        let messages = client.message_rx();
        let fresh = RunningClient::start(client, server);
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
