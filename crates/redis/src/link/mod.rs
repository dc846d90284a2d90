//! The way to Redis: clients for commands, one that listens, and whether the way is open.

pub(crate) mod clients;
mod command_clients;
pub(crate) mod connect;
pub(crate) mod failures;
mod replace;
mod routing;
pub(crate) mod running_client;
mod shard_states;
mod shards;

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::ClientLike as _;
use futures_util::future::join_all;
use hookswitch_protocol::NodeId;
use hookswitch_runtime::Clock;
use tokio::sync::watch;

use self::command_clients::CommandClients;
use self::failures::FailureLog;
use self::running_client::RunningClient;
use self::shard_states::ShardStates;
use crate::config::RedisConfig;
use crate::keys::Keys;
use crate::metrics::LinkMetrics;

/// Most probes that may be out at once: one for each master of a cluster.
const HEARD_PROBES: usize = 4_096;

/// What every keeper of a node shares: the clients, the names, and the state of the way to Redis.
/// Clones are the same link.
#[derive(Clone)]
pub struct Link(Arc<LinkParts>);

struct LinkParts {
    config: RedisConfig,
    node: NodeId,
    keys: Keys,
    clock: Clock,
    commands: CommandClients,
    /// What listens to everything but shard channels; another one when it was given up.
    listener: Mutex<RunningClient>,
    state: watch::Sender<LinkState>,
    /// Probes that came back, of those that are out.
    heard: Mutex<BTreeSet<u64>>,
    failures: FailureLog,
    /// Whether a server refused to write since that was last asked.
    only_reads: AtomicBool,
    shards: ShardStates,
}

/// Whether the way through Redis and back is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// Why it is not; `None` when it is.
    pub(crate) problem: Option<String>,
    /// How often it has opened so far: a keeper that sees another number than before has to put
    /// back what a store that came back empty has lost.
    pub(crate) n_opened: u64,
}

/// Why Redis could not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// It is known to be away; nothing was tried.
    #[error("Redis is away: {problem}")]
    Away {
        /// What was noticed.
        problem: String,
    },
    /// The command failed, or was not answered in time; then it may still be carried out.
    #[error("Redis did not {operation}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// What the client says.
        #[source]
        source: fred::error::Error,
    },
}

impl Link {
    fn new(config: RedisConfig, node: NodeId, clock: Clock, commands: CommandClients, listener: RunningClient) -> Self {
        let keys = Keys::new(&config.prefix);
        let problem = Some(format!("{} has not answered yet", config.topology));
        Self(Arc::new(LinkParts {
            config,
            node,
            keys,
            clock,
            commands,
            listener: Mutex::new(listener),
            state: watch::Sender::new(LinkState { problem, n_opened: 0 }),
            heard: Mutex::default(),
            failures: FailureLog::default(),
            only_reads: AtomicBool::new(false),
            shards: ShardStates::default(),
        }))
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.0.config
    }

    /// This node, by a name that no other start of it has.
    /// Messages that may wait for Redis.
    pub fn buffer_events(&self) -> usize {
        self.config().buffer_events
    }

    pub(crate) fn node(&self) -> &NodeId {
        &self.0.node
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn clients(&self) -> &CommandClients {
        &self.0.commands
    }

    /// The client that listens just now.
    pub(crate) fn subscriber(&self) -> Client {
        self.listener().client().clone()
    }

    fn listener(&self) -> MutexGuard<'_, RunningClient> {
        self.0.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it counts.
    pub fn metrics(&self) -> &LinkMetrics {
        &self.0.failures.metrics
    }

    /// A command failed: it is counted, and its kind told once a minute with the keys.
    pub(crate) fn failed(&self, operation: &'static str, keys: &str, source: fred::error::Error) -> LinkError {
        self.0.failures.note(operation, &self.0.keys.masked(keys), &source);
        if failures::class(&source) == failures::READ_ONLY {
            self.0.only_reads.store(true, Ordering::Relaxed);
        }
        LinkError::Failed { operation, source }
    }

    /// Whether a server refused to write, as a replica does, since this was last asked.
    pub(crate) fn take_only_reads(&self) -> bool {
        self.0.only_reads.swap(false, Ordering::Relaxed)
    }

    /// Whether the way is open.
    pub(crate) fn is_up(&self) -> bool {
        self.0.state.borrow().problem.is_none()
    }

    /// Whether an event published here reaches the other nodes, as far as the last probe tells.
    ///
    /// # Errors
    /// What is wrong, for people; no secret is in it.
    pub fn check(&self) -> Result<(), String> {
        self.0.state.borrow().problem.clone().map_or(Ok(()), Err)
    }

    /// `Err` when the way is known to be closed: spares a wait.
    pub(crate) fn ready(&self) -> Result<(), LinkError> {
        self.check().map_err(|problem| LinkError::Away { problem })
    }

    /// Hears of every change of the state.
    pub(crate) fn changes(&self) -> watch::Receiver<LinkState> {
        self.0.state.subscribe()
    }

    /// A probe of this node came back.
    pub(crate) fn probe_heard(&self, number: u64) {
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Strangers may say any number any number of times.
        if heard.len() < HEARD_PROBES {
            heard.insert(number);
        }
    }

    pub(crate) fn is_probe_heard(&self, number: u64) -> bool {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).contains(&number)
    }

    /// New probes go out: the earlier ones do not count any more.
    pub(crate) fn forget_probes(&self) {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The way is open again.
    pub(crate) fn open(&self) {
        let opened = self.0.state.send_if_modified(|state| {
            let was_closed = state.problem.take().is_some();
            state.n_opened += u64::from(was_closed);
            was_closed
        });
        if opened {
            tracing::info!(node = %self.0.node, "{} is there, the node hangs together with the others", self.0.config.topology);
        }
    }

    /// The way is closed.
    pub(crate) fn close(&self, problem: &str) {
        let closed = self.0.state.send_if_modified(|state| {
            let was_open = state.problem.is_none();
            if state.problem.as_deref() != Some(problem) {
                state.problem = Some(problem.to_owned());
                return true;
            }
            was_open
        });
        if closed {
            tracing::warn!(node = %self.0.node, problem, "Redis is away, the node goes on by itself");
        }
    }

    /// Closes all clients.
    pub(crate) async fn quit(&self) {
        let mut clients = self.clients().all();
        clients.push(self.subscriber());
        let all = join_all(clients.iter().map(Client::quit));
        // Ended connections are what is wanted; a server that is gone has none.
        let _ended = tokio::time::timeout(self.0.config.command_timeout / 2, all).await;
    }
}

impl LinkError {
    /// Whether it is certain that there is no connection, as opposed to a slow answer.
    pub(crate) fn is_disconnect(&self) -> bool {
        match self {
            Self::Away { .. } => false,
            Self::Failed { source, .. } => matches!(source.kind(), ErrorKind::IO | ErrorKind::Canceled),
        }
    }

    /// Whether Redis answered that it does not do this, as opposed to not answering.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Away { .. } => false,
            Self::Failed { source, .. } => failures::is_refusal(source),
        }
    }

    /// Whether no answer came in time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Failed { source, .. } if matches!(source.kind(), ErrorKind::Timeout))
    }

    /// All that is known of it, in one line.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Away { problem } => problem.clone(),
            Self::Failed { source, .. } => format!("{self}: {source}"),
        }
    }

    /// As the source of a seam's error.
    pub(crate) fn boxed(self) -> Box<dyn StdError + Send + Sync> {
        Box::new(self)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.borrow();
        f.debug_struct("Link").field("node", &self.0.node).field("state", &*state).finish_non_exhaustive()
    }
}
