//! Connections that append and read: each is to one start of one server, whose run id is known before anything else is
//! sent over it.
//!
//! A server that was replaced by its replica, or came back from a file, may have lost the last positions it gave. It has
//! another run id then, by which the scripts notice it. A connection that the client library made anew by itself could
//! carry an append under the id of the server before, so these are never made anew: one that is lost is given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::clients::{Client, WithOptions};
use fred::interfaces::ClientLike as _;
use fred::types::cluster::ClusterRouting;
use fred::types::config::{Options, Server};
use fred::types::{CustomCommand, Value};
use fred::util::redis_keyslot;
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

use crate::config::Topology;
use crate::link::{Link, LinkError, clients};
use crate::script::Script;

/// How often a key's owner is asked for again, when its slot moves.
const REDIRECTIONS: usize = 3;

/// One connection to one start of one server.
#[derive(Debug)]
pub(super) struct Connection {
    client: WithOptions<Client>,
    task: ConnectionTask,
    run_id: String,
}

/// The client's task, which ends with this.
#[derive(Debug)]
struct ConnectionTask(AbortHandle);

/// A server's connection, from when it is first asked for.
type Opening = Arc<OnceCell<Arc<Connection>>>;

/// A node's connections for recent history: one, or in a cluster one to each master.
#[derive(Debug)]
pub(super) struct Connections {
    link: Link,
    /// By server; under `None` the only one.
    opened: Mutex<HashMap<Option<Server>, Opening>>,
    routing: Mutex<Option<Arc<ClusterRouting>>>,
}

impl Drop for ConnectionTask {
    /// A connection over which nothing comes back cannot be closed in good order.
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    async fn open(link: &Link, server: Option<&Server>) -> Result<Self, LinkError> {
        let client = clients::passing_client(link.config(), server)
            .map_err(|error| LinkError::Away { problem: error.to_string() })?;
        let task = ConnectionTask(client.connect().abort_handle());
        let operation = "connect for recent history";
        client.wait_for_connect().await.map_err(|source| link.failed(operation, "", source))?;
        let client = client.with_options(&Options {
            max_attempts: Some(1),
            max_redirections: Some(0),
            timeout: Some(link.config().command_timeout),
            fail_fast: true,
            ..Options::default()
        });
        let info = client.custom::<String, _>(CustomCommand::new_static("INFO", None, false), vec!["server"]).await;
        let info = info.map_err(|source| link.failed("tell its run id", "", source))?;
        let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        let run_id = run_id.ok_or_else(|| LinkError::Away { problem: "Redis does not tell its run id".to_owned() })?;
        Ok(Self { client, task, run_id: run_id.trim().to_owned() })
    }

    /// Of the server, as it was started.
    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    fn has_ended(&self) -> bool {
        self.task.0.is_finished() || !self.client.is_connected()
    }
}

impl Connections {
    pub(super) fn new(link: Link) -> Self {
        Self { link, opened: Mutex::default(), routing: Mutex::default() }
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<Option<Server>, Opening>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routing(&self) -> MutexGuard<'_, Option<Arc<ClusterRouting>>> {
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a script where its first key is. What it is told may depend on the server's run id.
    ///
    /// # Errors
    /// [`LinkError`]; one that is no refusal leaves it open whether the script was run.
    pub(super) async fn run(
        &self,
        script: &Script,
        operation: &'static str,
        keys: &[String],
        args: impl Fn(&Connection) -> Vec<Value>,
    ) -> Result<(Value, Arc<Connection>), LinkError> {
        let args = &args;
        let run = |connection: Arc<Connection>| async move {
            let args = args(&connection);
            script.run_at(&connection.client, keys, args).await.map(|said| (said, connection))
        };
        self.ask(operation, keys, run).await
    }

    /// Reads fields of the hash at a key, which then lasts so many seconds more.
    pub(super) async fn fields(
        &self,
        operation: &'static str,
        key: &str,
        names: [&str; 3],
        expiry: u32,
    ) -> Result<(Vec<Option<String>>, Arc<Connection>), LinkError> {
        let keys = [key.to_owned()];
        let read = |connection: Arc<Connection>| async move {
            let command = |name| CustomCommand::new_static(name, None, false);
            let [first, second, third] = names;
            let renewal = vec![key.to_owned(), expiry.to_string()];
            let both = tokio::join!(
                connection.client.custom::<Vec<Option<String>>, _>(command("HMGET"), vec![key, first, second, third]),
                connection.client.custom::<i64, _>(command("EXPIRE"), renewal),
            );
            match both {
                (Ok(values), Ok(_is_there)) => Ok((values, connection)),
                (Err(error), _) | (_, Err(error)) => Err(error),
            }
        };
        self.ask(operation, &keys, read).await
    }

    /// Asks the owner of the first key, after a redirection the new one.
    async fn ask<T, F>(
        &self,
        operation: &'static str,
        keys: &[String],
        ask: impl Fn(Arc<Connection>) -> F,
    ) -> Result<T, LinkError>
    where
        F: Future<Output = Result<T, fred::error::Error>>,
    {
        let mut n_left = REDIRECTIONS;
        loop {
            n_left -= 1;
            let connection = self.connected(&keys[0]).await?;
            let error = match ask(Arc::clone(&connection)).await {
                Ok(said) => return Ok(said),
                Err(error) => error,
            };
            let is_moved = error.details().starts_with("MOVED");
            if is_moved {
                // Nothing was done there.
                *self.routing() = None;
            }
            let has_moved_on = is_moved && n_left > 0;
            let failed = self.link.failed(operation, &keys.join(" "), error);
            if !failed.is_refusal() || is_read_only(&failed) {
                self.give_up(&connection);
            }
            if !has_moved_on {
                return Err(failed);
            }
        }
    }

    /// This connection is not used any more: it is silent, or its server has become a replica.
    pub(super) fn give_up(&self, connection: &Arc<Connection>) {
        let is_other = |opening: &Opening| opening.get().is_none_or(|opened| !Arc::ptr_eq(opened, connection));
        self.opened().retain(|_, opening| is_other(opening));
        *self.routing() = None;
    }

    /// The connection to the owner of a key, made where there is none, in the time that a command has.
    async fn connected(&self, key: &str) -> Result<Arc<Connection>, LinkError> {
        let connected = tokio::time::timeout(self.link.config().command_timeout, async {
            let server = self.owner(key).await?;
            let opening = self.opening(server.as_ref());
            let open = || async { Connection::open(&self.link, server.as_ref()).await.map(Arc::new) };
            opening.get_or_try_init(open).await.map(Arc::clone)
        });
        let connected = connected.await.unwrap_or_else(|_late| {
            Err(LinkError::Away { problem: "no connection to Redis for recent history in time".to_owned() })
        });
        connected.map_err(|error| {
            *self.routing() = None;
            // Whatever is wrong, nothing was sent.
            LinkError::Away { problem: error.summary() }
        })
    }

    fn opening(&self, server: Option<&Server>) -> Opening {
        let mut opened = self.opened();
        let opening = opened.entry(server.cloned()).or_default();
        if opening.get().is_some_and(|connection| connection.has_ended()) {
            *opening = Opening::default();
        }
        Arc::clone(opening)
    }

    async fn owner(&self, key: &str) -> Result<Option<Server>, LinkError> {
        match self.link.config().topology {
            Topology::Single(_) | Topology::Sentinel { .. } => return Ok(None),
            Topology::Cluster(_) => {}
        }
        let slot = redis_keyslot(key.as_bytes());
        let known = |routing: &Arc<ClusterRouting>| routing.get_server(slot).cloned();
        if let Some(server) = self.routing().as_ref().and_then(known) {
            return Ok(Some(server));
        }
        let routing = self.link.slots().await?;
        let owner = known(&routing);
        let masters = routing.unique_primary_nodes();
        self.opened().retain(|server, _| server.as_ref().is_some_and(|server| masters.contains(server)));
        *self.routing() = Some(routing);
        owner.map(Some).ok_or_else(|| LinkError::Away { problem: format!("nobody owns slot {slot}") })
    }
}

/// Whether the server says that it is a replica.
fn is_read_only(error: &LinkError) -> bool {
    matches!(error, LinkError::Failed { source, .. } if source.details().starts_with("READONLY"))
}
