//! A cluster's shard channels, each listened to at the master that owns its slot.
//!
//! A master that gives a slot away ends the subscriptions to its channels. The client library does not tell, and
//! nothing else does: so who owns which slot is asked again and again, and every channel is asked for anew in turn,
//! which also finds what no change of owner explains.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike as _, EventInterface as _, PubsubInterface as _};
use fred::types::CustomCommand;
use fred::types::cluster::ClusterRouting;
use fred::types::config::{Options, Server};
use fred::util::redis_keyslot;
use hookswitch_protocol::TenantId;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::sources::SourceSender;
use crate::link::clients;
use crate::link::running_client::RunningClient;
use crate::link::{Link, LinkError};

/// How often a channel's owner is asked for again before its subscription is given up for now.
const REDIRECTIONS: usize = 3;

/// How long a master that did not answer is not asked.
const AVOIDED_FOR: Duration = Duration::from_secs(3);

/// Answers that must fail before a connection is given up.
const MISSES: u32 = 2;

/// Where each tenant's shard channel is listened to.
#[derive(Debug)]
pub(crate) struct ShardListeners {
    link: Link,
    sources: SourceSender,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    masters: HashMap<Server, Master>,
    /// Where a tenant's channel was asked for, and granted.
    homes: HashMap<TenantId, Server>,
    routing: Option<Arc<ClusterRouting>>,
    /// Masters that did not answer, and when last.
    silent: HashMap<Server, Instant>,
    /// Channels to be asked for anew, in turn.
    turns: VecDeque<TenantId>,
}

/// One connection to one master.
#[derive(Debug)]
struct Master {
    listener: RunningClient,
    reconnects: broadcast::Receiver<Server>,
    n_misses: u32,
}

impl ShardListeners {
    pub(crate) fn new(link: Link, sources: SourceSender) -> Self {
        Self { link, sources, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to a tenant's shard channel at its owner. Whether it was not listened to before.
    ///
    /// # Errors
    /// When its owner does not grant it in this time, or cannot be found.
    pub(crate) async fn subscribe(&self, tenant: &TenantId, patience: Duration) -> Result<bool, LinkError> {
        let channel = self.link.keys().tenant_channel(tenant);
        let slot = redis_keyslot(channel.as_bytes());
        let mut last = LinkError::Away { problem: "the owner of a tenant's shard is not known".to_owned() };
        for _ in 0..REDIRECTIONS {
            let Some(server) = self.owner(slot).await? else { return Err(last) };
            let client = self.connected(&server, patience).await?;
            let command = CustomCommand::new_static("SSUBSCRIBE", None, false);
            let said: Result<(String, String, i64), _> = client.custom(command, vec![channel.as_str()]).await;
            match said {
                Ok(_granted) => return Ok(self.granted(tenant, &server)),
                Err(error) if error.details().starts_with("MOVED") => {
                    self.state().routing = None;
                    last = self.link.failed("subscribe to a tenant's shard", &channel, error);
                }
                Err(error) => {
                    let error = self.link.failed("subscribe to a tenant's shard", &channel, error);
                    if error.is_timeout() {
                        self.was_silent(&server);
                    }
                    return Err(error);
                }
            }
        }
        Err(last)
    }

    /// A master did not answer in time: what else is to be asked of it does not wait as long, one by one.
    fn was_silent(&self, server: &Server) {
        self.state().silent.insert(server.clone(), Instant::now());
    }

    /// Stops listening to it.
    pub(crate) async fn unsubscribe(&self, tenant: &TenantId) -> Result<(), LinkError> {
        let client = {
            let mut state = self.state();
            let Some(home) = state.homes.remove(tenant) else { return Ok(()) };
            let Some(master) = state.masters.get(&home) else { return Ok(()) };
            with_patience(master.listener.client(), self.link.config().command_timeout)
        };
        let channel = self.link.keys().tenant_channel(tenant);
        let ended = client.sunsubscribe(channel.clone()).await;
        ended.map_err(|source| self.link.failed("unsubscribe from a tenant's shard", &channel, source))
    }

    /// Asks for a tenant's channel anew. Whether it was not listened to, whatever was thought.
    ///
    /// # Errors
    /// As of [`Self::subscribe`].
    pub(crate) async fn subscribe_anew(&self, tenant: &TenantId, patience: Duration) -> Result<bool, LinkError> {
        let before = self.n_listeners(tenant).await;
        let is_news = self.subscribe(tenant, patience).await?;
        let now = self.n_listeners(tenant).await;
        // Another node may have come in between: then it is told once too often.
        Ok(is_news || before.zip(now).is_some_and(|(before, now)| now > before))
    }

    /// How many connections listen to a tenant's channel at its home.
    async fn n_listeners(&self, tenant: &TenantId) -> Option<i64> {
        let home = self.state().homes.get(tenant).cloned()?;
        let channel = self.link.keys().tenant_channel(tenant);
        let command = CustomCommand::new_static("PUBSUB", None, false);
        let client = self.link.client_at(Some(&home)).ok()?;
        let counted: Result<(String, i64), _> = client.custom(command, vec!["SHARDNUMSUB", channel.as_str()]).await;
        counted.ok().map(|(_, n_listeners)| n_listeners)
    }

    /// Notes that it is listened to there. Whether that is news.
    fn granted(&self, tenant: &TenantId, server: &Server) -> bool {
        self.state().homes.insert(tenant.clone(), server.clone()).as_ref() != Some(server)
    }

    async fn owner(&self, slot: u16) -> Result<Option<Server>, LinkError> {
        let known = |state: &State| state.routing.as_ref().and_then(|routing| routing.get_server(slot).cloned());
        if let Some(server) = known(&self.state()) {
            return Ok(Some(server));
        }
        let routing = self.link.slots().await?;
        let mut state = self.state();
        state.routing = Some(routing);
        Ok(known(&state))
    }

    /// The connection to a master, made when there is none.
    async fn connected(&self, server: &Server, patience: Duration) -> Result<WithOptions<Client>, LinkError> {
        let (client, messages) = self.client_of(server)?;
        let is_first = messages.is_some();
        if let Some(messages) = messages {
            // The receiving task lives as long as anybody wants to listen.
            let _taken = self.sources.send(messages).await;
        }
        let away = || LinkError::Away { problem: format!("the master at {server} does not answer") };
        if self.state().silent.get(server).is_some_and(|since| since.elapsed() < AVOIDED_FOR) {
            return Err(away());
        }
        let connected = tokio::time::timeout(patience, client.wait_for_connect()).await;
        if !matches!(connected, Ok(Ok(()))) {
            self.was_silent(server);
            return Err(away());
        }
        if let Some(master) = self.state().masters.get_mut(server).filter(|_| is_first) {
            // The first connection is no news.
            while master.reconnects.try_recv().is_ok() {}
        }
        Ok(with_patience(&client, patience))
    }

    fn client_of(
        &self,
        server: &Server,
    ) -> Result<(Client, Option<broadcast::Receiver<fred::types::Message>>), LinkError> {
        let mut state = self.state();
        if let Some(master) = state.masters.get(server) {
            return Ok((master.listener.client().clone(), None));
        }
        let client = clients::client_of(self.link.config(), Some(server))
            .map_err(|error| LinkError::Away { problem: error.to_string() })?;
        let (messages, reconnects) = (client.message_rx(), client.reconnect_rx());
        let listener = RunningClient::start(client.clone(), Some(server.clone()));
        state.masters.insert(server.clone(), Master { listener, reconnects, n_misses: 0 });
        Ok((client, Some(messages)))
    }

    /// Of these tenants, those whose channels are not listened to where they should be: their slots moved, or their
    /// master's connection was lost.
    pub(crate) async fn lost(&self, watched: &[TenantId]) -> Result<Vec<TenantId>, LinkError> {
        self.look_after_connections().await;
        let routing = self.link.slots().await?;
        let mut state = self.state();
        let owner = |tenant: &TenantId| {
            let channel = self.link.keys().tenant_channel(tenant);
            routing.get_server(redis_keyslot(channel.as_bytes())).cloned()
        };
        let strayed = watched.iter().filter(|tenant| {
            let home = state.homes.get(*tenant);
            home.is_none() || home != owner(tenant).as_ref()
        });
        let strayed: Vec<TenantId> = strayed.cloned().collect();
        let masters: HashSet<Server> = routing.unique_primary_nodes().into_iter().collect();
        state.masters.retain(|server, _| masters.contains(server));
        state.silent.retain(|server, _| masters.contains(server));
        state.routing = Some(routing);
        Ok(strayed)
    }

    /// Up to so many of these tenants, in turn.
    pub(crate) fn in_turn(&self, watched: &[TenantId], limit: usize) -> Vec<TenantId> {
        let mut state = self.state();
        if state.turns.is_empty() {
            state.turns.extend(watched.iter().cloned());
        }
        let n_tenants = state.turns.len().min(limit);
        state.turns.drain(..n_tenants).collect()
    }

    /// Finds connections that were made anew, or over which nothing comes back, and forgets what they listened to.
    async fn look_after_connections(&self) {
        let clients: Vec<(Server, Client)> = {
            let mut state = self.state();
            let mut renewed = HashSet::new();
            for (server, master) in &mut state.masters {
                while master.reconnects.try_recv().is_ok() {
                    renewed.insert(server.clone());
                }
            }
            state.homes.retain(|_, home| !renewed.contains(home));
            state.masters.iter().map(|(server, master)| (server.clone(), master.listener.client().clone())).collect()
        };
        let patience = self.link.config().command_timeout;
        let answers = clients.into_iter().map(|(server, client)| async move {
            let answer: Result<fred::types::Value, _> = with_patience(&client, patience).ping(None).await;
            (server, answer.is_ok())
        });
        for (server, has_answered) in futures_util::future::join_all(answers).await {
            self.note_answer(&server, has_answered);
        }
    }

    fn note_answer(&self, server: &Server, has_answered: bool) {
        let mut state = self.state();
        let Some(master) = state.masters.get_mut(server) else { return };
        master.n_misses = if has_answered { 0 } else { master.n_misses + 1 };
        if master.n_misses >= MISSES {
            tracing::warn!(%server, "nothing comes back over the connection to a shard, it is made anew");
            self.link.metrics().reconnections.inc();
            state.masters.remove(server);
            state.homes.retain(|_, home| home != server);
        }
    }
}

fn with_patience(client: &Client, patience: Duration) -> WithOptions<Client> {
    client.with_options(&Options { timeout: Some(patience), fail_fast: true, ..Options::default() })
}
