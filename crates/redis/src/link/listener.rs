//! A client that listens over one connection to one server.
//!
//! Also in a cluster: what is published is told by every master to all of its own listeners, so one connection
//! is enough, and it can be given up and made anew without touching those to other masters.

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::config::Server;
use tokio::task::AbortHandle;

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
