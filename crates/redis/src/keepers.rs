//! Everything a node keeps in Redis, started together.

use std::sync::Arc;

use hookswitch_hub::{BrokerSink, OfflineLimits, Seams};
use hookswitch_protocol::NodeId;
use hookswitch_runtime::metrics::{Registry, register_gauge};
use hookswitch_runtime::{Clock, Scope};

use crate::broker::RedisBroker;
use crate::chat::RedisChatSessions;
use crate::config::RedisConfig;
use crate::link::Link;
use crate::link::clients::RedisSetupError;
use crate::link::connect;
use crate::offline::RedisOffline;
use crate::peers::RedisPeers;
use crate::presence::RedisPresence;

/// The keepers of one node; they end with the scope they were started in.
#[derive(Debug, Clone)]
pub struct RedisKeepers {
    /// The way to Redis, for readiness.
    pub link: Link,
    /// Events between nodes.
    pub broker: Arc<RedisBroker>,
    /// Who is connected anywhere.
    pub presence: Arc<RedisPresence>,
    /// Messages for users who are away.
    pub offline: Arc<RedisOffline>,
    /// Public chat sessions.
    pub chat: Arc<RedisChatSessions>,
    /// The other nodes, for questions.
    pub peers: Arc<RedisPeers>,
}

impl RedisKeepers {
    /// The same as the hub takes them.
    pub fn seams(&self) -> Seams {
        Seams {
            broker: self.broker.clone(),
            presence: self.presence.clone(),
            offline: self.offline.clone(),
            chat: self.chat.clone(),
            history: None,
            peers: self.peers.clone(),
        }
    }

    /// Whether events published here reach the other nodes, and every server takes what this node writes. Asks each
    /// server; within about a command's timeout.
    ///
    /// # Errors
    /// What is wrong and where, for people; no secret is in it.
    pub async fn check_link(&self) -> Result<(), String> {
        self.link.check_all().await
    }

    /// Whether this node's users count as present to the others: renews the node's lease.
    ///
    /// # Errors
    /// What is wrong, for people; no secret is in it.
    pub async fn check_presence(&self) -> Result<(), String> {
        self.presence.check().await
    }

    /// Registers everything that the keepers count, and whether and how much waits for Redis now.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let (link, broker) = (self.link.clone(), self.broker.clone());
        let is_up = move || u64::from(link.check().is_ok());
        register_gauge(registry, "redis_up", "Whether events reach the other nodes now", is_up);
        let n_buffered = move || broker.n_buffered() as u64;
        register_gauge(registry, "redis_buffered", "Messages that wait for Redis", n_buffered);
        self.link.metrics().register(registry);
        self.broker.metrics().register(registry);
        self.presence.metrics().register(registry);
        self.offline.metrics().register(registry);
        self.chat.metrics().register(registry);
        self.peers.register_metrics(registry);
    }

    /// Starts them. Waits a moment for Redis; when it is not there the node starts by itself and
    /// joins the others when it comes.
    ///
    /// `node` must be a name that no other process has or had, an earlier start of this one included.
    ///
    /// # Errors
    /// [`RedisSetupError`] when the settings cannot be worked with; never because Redis is away.
    pub async fn start(
        config: RedisConfig,
        node: NodeId,
        limits: OfflineLimits,
        sink: Arc<dyn BrokerSink>,
        clock: Clock,
        scope: Scope,
    ) -> Result<Self, RedisSetupError> {
        tracing::info!(redis_node = %node, "this start's name among the nodes in Redis");
        let patience = config.command_timeout * 2;
        let link = connect::connect(config, node, clock)?;
        let peers = RedisPeers::new(link.clone(), scope.clone());
        let broker = RedisBroker::start(&link, &sink, &peers, &scope);
        let presence = RedisPresence::start(link.clone(), Arc::clone(&sink), &scope);
        let (closing, last_events, last_departures) = (link.clone(), Arc::clone(&broker), Arc::clone(&presence));
        scope.spawn("redis-link", async move {
            // Both still write at the end.
            tokio::join!(last_events.ended(), last_departures.ended());
            last_events.stop();
            closing.quit().await;
        });
        let offline = RedisOffline::start(link.clone(), limits, &scope);
        let chat = RedisChatSessions::start(link.clone(), sink, &scope);
        let mut changes = link.changes();
        // A node that joins a moment later is none the worse for it.
        let _opened = tokio::time::timeout(patience, changes.wait_for(|state| state.problem.is_none())).await;
        Ok(Self { link, broker, presence, offline, chat, peers })
    }
}
