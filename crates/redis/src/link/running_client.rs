//! A client of the library that talks to one server, and the task that works for it.

use fred::clients::Client;
use fred::interfaces::ClientLike as _;
use fred::types::config::Server;
use tokio::task::AbortHandle;

/// The client, and the task that writes and reads for it, which ends with this.
#[derive(Debug)]
pub(crate) struct RunningClient {
    client: Client,
    /// Which one, where there are several.
    server: Option<Server>,
    task: AbortHandle,
}

impl RunningClient {
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

impl Drop for RunningClient {
    /// A connection over which nothing comes back cannot be closed in good order. What waits for an answer over it
    /// fails.
    fn drop(&mut self) {
        self.task.abort();
    }
}
