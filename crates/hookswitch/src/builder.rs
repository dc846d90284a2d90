//! From settings to a running node.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_hub::memory::{MemoryOffline, NoPeers};
use hookswitch_hub::{Admission, Hub, HubBuilder, HubConfig, OfflineLimits, Seams};
use hookswitch_protocol::NodeId;
#[cfg(feature = "redis")]
use hookswitch_redis::{RedisConfig, RedisKeepers};
use hookswitch_runtime::Clock;
#[cfg(feature = "mysql")]
use hookswitch_store::MySqlConfig;
#[cfg(feature = "sqlite")]
use hookswitch_store::StoreConfig;
use hookswitch_switch::SwitchConfig;
use hookswitch_webhooks::{AddressPolicy, WebhookConfig, WebhookSeams, Webhooks};

#[cfg(any(feature = "mysql", feature = "sqlite"))]
use crate::database::DatabaseConfig;
use crate::error::StartError;
use crate::keepers::Keepers;
use crate::node::Switch;
use crate::scopes::Scopes;

/// Settings of a node; each has a default. Made by [`Switch::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing runs until `start`"]
pub struct SwitchBuilder {
    pub(crate) clock: Clock,
    pub(crate) node: Option<NodeId>,
    pub(crate) hub: HubConfig,
    pub(crate) acceptance: SwitchConfig,
    pub(crate) webhooks: WebhookConfig,
    pub(crate) addresses: AddressPolicy,
    offline: OfflineLimits,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    database: Option<DatabaseConfig>,
    #[cfg(feature = "redis")]
    redis: Option<RedisConfig>,
    #[cfg(feature = "gateway")]
    pub(crate) gateway: Option<crate::gateway_part::GatewayPart>,
    #[cfg(feature = "gateway")]
    own_metrics: Option<fn(&mut hookswitch_runtime::metrics::Registry)>,
}

/// How long a node among others still takes in events after its clients are gone: longer than another
/// one takes from asking where a user is to sending the event there.
#[cfg(feature = "redis")]
const DRAIN_LINGER: Duration = Duration::from_secs(1);

impl Switch {
    /// Settings, each with its default; end with [`SwitchBuilder::start`].
    pub fn builder() -> SwitchBuilder {
        SwitchBuilder::new()
    }

    pub(crate) async fn assemble(builder: SwitchBuilder, scopes: Scopes) -> Result<Self, StartError> {
        let mut keepers = builder.keepers(&scopes).await?;
        let (hub, admission) = builder.start_hub(&mut keepers, &scopes).await?;
        #[cfg(feature = "gateway")]
        let outside = crate::gateway_part::Outside::of(&keepers, builder.own_metrics);
        let switch = builder.switchboard(hub, keepers, &scopes).await?;
        #[cfg(feature = "gateway")]
        let gateway = builder
            .gateway
            .map(|gateway| gateway.open(admission.clone(), &switch, outside, &builder.clock, &scopes.gateway));
        let node = Self {
            switch,
            admission,
            #[cfg(feature = "gateway")]
            gateway,
            scopes,
        };
        #[cfg(feature = "gateway")]
        node.drain_when_asked();
        Ok(node)
    }
}

impl SwitchBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clock: Clock::system(),
            node: None,
            hub: HubConfig::default(),
            acceptance: SwitchConfig::default(),
            webhooks: WebhookConfig::default(),
            addresses: AddressPolicy::strict(),
            offline: OfflineLimits::default(),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            database: None,
            #[cfg(feature = "redis")]
            redis: None,
            #[cfg(feature = "gateway")]
            gateway: None,
            #[cfg(feature = "gateway")]
            own_metrics: None,
        }
    }

    /// Where wall time comes from; the machine's clock by default.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The node's name among others; a fresh one at each start by default.
    pub fn node_id(self, node: NodeId) -> Self {
        Self { node: Some(node), ..self }
    }

    /// Settings of connections and fan-out.
    pub fn hub(self, hub: HubConfig) -> Self {
        Self { hub, ..self }
    }

    /// Bounds of accepting events.
    pub fn acceptance(self, acceptance: SwitchConfig) -> Self {
        Self { acceptance, ..self }
    }

    /// Settings of webhook deliveries.
    pub fn webhooks(self, webhooks: WebhookConfig) -> Self {
        Self { webhooks, ..self }
    }

    /// Where webhooks may go; by default to public addresses by HTTPS only.
    pub fn addresses(self, addresses: AddressPolicy) -> Self {
        Self { addresses, ..self }
    }

    /// Bounds of the messages that are kept for absent users, wherever they are kept: in memory, in the
    /// database or, where there is one, in Redis.
    pub fn offline(self, offline: OfflineLimits) -> Self {
        Self { offline, ..self }
    }

    /// Keeps everything that must survive in a SQLite file. Without it, it is kept in memory.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(self, store: StoreConfig) -> Self {
        Self { database: Some(DatabaseConfig::Sqlite(store)), ..self }
    }

    /// Keeps everything that must survive on a MySQL or MariaDB server, which other nodes may use at the
    /// same time. Without [`MySqlConfig::migrates`] its schema must be there already.
    #[cfg(feature = "mysql")]
    pub fn mysql(self, store: MySqlConfig) -> Self {
        Self { database: Some(DatabaseConfig::MySql(Box::new(store))), ..self }
    }

    /// Joins the other nodes that share this Redis: events, presence, messages for absent users and
    /// chat sessions. When it is away the node starts, and goes on, by itself.
    #[cfg(feature = "redis")]
    pub fn redis(self, redis: RedisConfig) -> Self {
        Self { redis: Some(redis), ..self }
    }

    /// Adds HTTP and WebSocket; `authenticator` turns tokens into principals. Without it the
    /// node takes no connections.
    #[cfg(feature = "gateway")]
    pub fn gateway(
        self,
        config: hookswitch_gateway::GatewayConfig,
        authenticator: Arc<dyn hookswitch_gateway::Authenticator>,
    ) -> Self {
        Self { gateway: Some(crate::gateway_part::GatewayPart { config, authenticator }), ..self }
    }

    /// Has `register` add metrics of the embedder's own to those that the gateway shows; names are written without
    /// prefix and `_total`. Called once, at the start.
    #[cfg(feature = "gateway")]
    pub fn metrics(self, register: fn(&mut hookswitch_runtime::metrics::Registry)) -> Self {
        Self { own_metrics: Some(register), ..self }
    }

    /// Starts the node inside the present Tokio runtime, a multi-threaded one.
    ///
    /// # Errors
    /// [`StartError`]; whatever had started is ended again.
    pub async fn start(self) -> Result<Switch, StartError> {
        let scopes = Scopes::new();
        match Switch::assemble(self, scopes.clone()).await {
            Ok(switch) => Ok(switch),
            Err(error) => {
                scopes.end(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    fn memory_keepers(&self) -> Keepers {
        let offline = Arc::new(MemoryOffline::new(self.offline, self.clock.clone()));
        Keepers {
            hub: Seams { offline, ..self.memory_seams() },
            webhooks: WebhookSeams::memory(&self.clock),
            #[cfg(all(feature = "gateway", any(feature = "mysql", feature = "sqlite")))]
            database: None,
            #[cfg(feature = "redis")]
            redis: None,
        }
    }

    fn memory_seams(&self) -> Seams {
        let seams = Seams::memory(&self.clock);
        match &self.node {
            Some(node) => Seams { peers: Arc::new(NoPeers::of(node.clone())), ..seams },
            None => seams,
        }
    }

    /// Opens the keepers that were asked for.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) async fn keepers(&self, scopes: &Scopes) -> Result<Keepers, StartError> {
        let Some(config) = self.database.clone() else { return Ok(self.memory_keepers()) };
        let database = config.open(self.offline, self.clock.clone(), &scopes.store).await?;
        Ok(Keepers {
            webhooks: database.webhooks(),
            hub: database.hub(&self.clock),
            #[cfg(feature = "gateway")]
            database: Some(database),
            #[cfg(feature = "redis")]
            redis: None,
        })
    }

    #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
    #[expect(clippy::unused_async, reason = "with the store there is something to wait for")]
    pub(crate) async fn keepers(&self, _scopes: &Scopes) -> Result<Keepers, StartError> {
        Ok(self.memory_keepers())
    }

    pub(crate) async fn start_hub(
        &self,
        keepers: &mut Keepers,
        scopes: &Scopes,
    ) -> Result<(Hub, Admission), StartError> {
        let prepared = HubBuilder::new(self.hub_config(), self.clock.clone(), &scopes.hub)?;
        #[cfg(feature = "redis")]
        if let Some(config) = self.redis_config() {
            let (sink, clock, scope) = (prepared.sink(), self.clock.clone(), scopes.redis.clone());
            // Not the node's configured name: leases of an earlier start must not pass for this one's.
            let node = NodeId::generate(clock.now());
            let redis = RedisKeepers::start(config, node, self.offline, sink, clock, scope).await?;
            keepers.hub = Seams { history: keepers.hub.history.take(), ..redis.seams() };
            keepers.redis = Some(redis);
        }
        Ok(prepared.start(keepers.hub.clone()).await?)
    }

    /// What may be published here is taken in from others too.
    #[cfg(feature = "redis")]
    fn redis_config(&self) -> Option<RedisConfig> {
        let config = self.redis.clone()?;
        #[cfg(feature = "gateway")]
        if let Some(gateway) = &self.gateway {
            let message_bytes = config.message_bytes.max(gateway.config.publish_body_bytes);
            return Some(RedisConfig { message_bytes, ..config });
        }
        Some(config)
    }

    fn hub_config(&self) -> HubConfig {
        let hub = self.hub.clone();
        #[cfg(feature = "redis")]
        if self.redis.is_some() {
            return HubConfig { drain_linger: hub.drain_linger.max(DRAIN_LINGER), ..hub };
        }
        hub
    }

    /// Joins hub and webhooks.
    pub(crate) async fn switchboard(
        &self,
        hub: Hub,
        keepers: Keepers,
        scopes: &Scopes,
    ) -> Result<hookswitch_switch::Switchboard, StartError> {
        let clock = self.clock.clone();
        let node = self.node.clone().unwrap_or_else(|| NodeId::generate(clock.now()));
        let (config, addresses, scope) = (self.webhooks.clone(), self.addresses.clone(), scopes.webhooks.clone());
        let webhooks = Webhooks::start(config, addresses, keepers.webhooks, node, clock.clone(), scope).await?;
        Ok(hookswitch_switch::Switchboard::new(self.acceptance, hub, webhooks, clock, scopes.acceptance.clone()))
    }
}
