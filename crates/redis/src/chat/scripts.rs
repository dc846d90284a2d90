//! The calls that the chat session store makes, each in one slot.

use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{HashesInterface as _, KeysInterface as _};
use fred::types::{Expiration, FromValue, Value};
use futures_util::future::join_all;
use hookswitch_hub::{ChatSession, ChatSessionError};
use hookswitch_protocol::{EventId, SessionKey, TenantId, Timestamp};

use crate::config::Topology;
use crate::link::{Link, LinkError};
use crate::script::Script;

/// Epochs in a cluster, spread over its slots: that a master has none is as good as impossible.
const EPOCHS: usize = 32;

/// The scripts, and the way to run them.
#[derive(Debug)]
pub(super) struct Scripts {
    link: Link,
    start: Script,
    end: Script,
    touch: Script,
    restore: Script,
    alias: Script,
    epoch: Script,
}

/// A session as it stands in Redis.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) session: ChatSession,
    pub(super) silence: Duration,
}

impl Scripts {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            start: Script::new(include_str!("../scripts/chat_start.lua")),
            end: Script::new(include_str!("../scripts/chat_end.lua")),
            touch: Script::new(include_str!("../scripts/chat_touch.lua")),
            restore: Script::new(include_str!("../scripts/chat_restore.lua")),
            alias: Script::new(include_str!("../scripts/chat_alias.lua")),
            epoch: Script::new(include_str!("../scripts/epoch.lua")),
        }
    }

    /// Whether the session is the tenant's now.
    pub(super) async fn start(&self, session: &ChatSession, silence: Duration) -> Result<bool, ChatSessionError> {
        let key = self.link.keys().chat(&session.key);
        self.run(&self.start, "start a chat session", key, fields(session, silence)).await
    }

    pub(super) async fn end(&self, tenant: &TenantId, key: &SessionKey) -> Result<(), ChatSessionError> {
        let key = self.link.keys().chat(key);
        self.run(&self.end, "end a chat session", key, vec![tenant.as_str().into()]).await
    }

    /// What is known of the session besides; nothing of an unknown one.
    pub(super) async fn touch(&self, key: &SessionKey, at: Timestamp) -> Result<Option<Stored>, ChatSessionError> {
        let args = vec![at.as_millis().into()];
        let answer: Vec<String> =
            self.run(&self.touch, "touch a chat session", self.link.keys().chat(key), args).await?;
        let [tenant, alias, silence] = &answer[..] else { return Ok(None) };
        Ok(Stored::read(key, tenant, alias, at, silence))
    }

    /// Whether the session is the tenant's now; it counts as silent after what is `left`.
    pub(super) async fn restore(
        &self,
        session: &ChatSession,
        silence: Duration,
        left: Duration,
    ) -> Result<bool, ChatSessionError> {
        let mut args = fields(session, silence);
        args.push(millis(left));
        self.run(&self.restore, "put a chat session back", self.link.keys().chat(&session.key), args).await
    }

    pub(super) async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, ChatSessionError> {
        const OPERATION: &str = "find a chat session";
        self.link.ready().map_err(|away| unavailable(OPERATION, away))?;
        let names = vec!["tenant", "alias", "last_active", "silence"];
        let name = self.link.keys().chat(key);
        let read = async |client: WithOptions<Client>| client.hmget(&name, names.clone()).await;
        let found: Result<Vec<Option<String>>, _> = self.link.at_key(&name, read).await;
        let found = found.map_err(|error| self.failed(OPERATION, &name, error))?;
        let [Some(tenant), Some(alias), Some(last_active), Some(silence)] = &found[..] else { return Ok(None) };
        let last_active = last_active.parse().map(Timestamp::from_millis);
        Ok(last_active.ok().and_then(|at| Stored::read(key, tenant, alias, at, silence)))
    }

    /// The tenant's own name stands for this session from now on.
    pub(super) async fn set_alias(&self, session: &ChatSession, expiry: Duration) -> Result<(), ChatSessionError> {
        const OPERATION: &str = "name a chat session";
        let Some(alias) = &session.alias else { return Ok(()) };
        self.link.ready().map_err(|away| unavailable(OPERATION, away))?;
        let key = self.link.keys().chat_alias(&session.tenant, alias);
        let expiry = Some(Expiration::PX(expiry.as_millis().max(1) as i64));
        let set = async |client: WithOptions<Client>| {
            client.set(&key, session.key.as_str(), expiry.clone(), None, false).await
        };
        let set: Result<(), _> = self.link.at_key(&key, set).await;
        set.map_err(|error| self.failed(OPERATION, &key, error))
    }

    /// The same, unless it stands for a newer session by now.
    pub(super) async fn keep_alias(&self, session: &ChatSession, expiry: Duration) -> Result<(), ChatSessionError> {
        let Some(alias) = &session.alias else { return Ok(()) };
        let key = self.link.keys().chat_alias(&session.tenant, alias);
        let args = vec![session.key.as_str().into(), millis(expiry)];
        self.run(&self.alias, "keep a chat session's name", key, args).await
    }

    pub(super) async fn find_alias(
        &self,
        tenant: &TenantId,
        alias: &SessionKey,
    ) -> Result<Option<SessionKey>, ChatSessionError> {
        const OPERATION: &str = "find a chat session by its name";
        self.link.ready().map_err(|away| unavailable(OPERATION, away))?;
        let name = self.link.keys().chat_alias(tenant, alias);
        let get = async |client: WithOptions<Client>| client.get(&name).await;
        let found: Result<Option<String>, _> = self.link.at_key(&name, get).await;
        let found = found.map_err(|error| self.failed(OPERATION, &name, error))?;
        Ok(found.and_then(|key| SessionKey::parse(&key).ok()))
    }

    /// What is there now at each place, made where there is none; `None` where it cannot be asked.
    ///
    /// # Errors
    /// When no place can be asked.
    pub(super) async fn epochs(&self) -> Result<Vec<Option<String>>, ChatSessionError> {
        let fresh = EventId::generate(self.link.clock().now());
        let asked = self
            .epoch_keys()
            .into_iter()
            .map(|key| self.run(&self.epoch, "read the server's epoch", key, vec![fresh.as_str().into()]));
        let said: Vec<Result<String, ChatSessionError>> = join_all(asked).await;
        if said.iter().any(Result::is_ok) {
            return Ok(said.into_iter().map(Result::ok).collect());
        }
        said.into_iter().map(|said| said.map(Some)).collect()
    }

    fn epoch_keys(&self) -> Vec<String> {
        match self.link.config().topology {
            Topology::Cluster(_) => (0..EPOCHS).map(|tag| self.link.keys().epoch(Some(tag))).collect(),
            Topology::Single(_) | Topology::Sentinel { .. } => vec![self.link.keys().epoch(None)],
        }
    }

    fn failed(&self, operation: &'static str, key: &str, error: fred::error::Error) -> ChatSessionError {
        unavailable(operation, self.link.failed(operation, key, error))
    }

    async fn run<R: FromValue>(
        &self,
        script: &Script,
        operation: &'static str,
        key: String,
        args: Vec<Value>,
    ) -> Result<R, ChatSessionError> {
        self.link.ready().map_err(|away| unavailable(operation, away))?;
        script.run(&self.link, operation, &[key], args).await.map_err(|failed| unavailable(operation, failed))
    }
}

impl Stored {
    /// Nothing of what we did not write.
    fn read(key: &SessionKey, tenant: &str, alias: &str, last_active: Timestamp, silence: &str) -> Option<Self> {
        let tenant = TenantId::parse(tenant).ok()?;
        let alias = SessionKey::parse(alias).ok();
        let silence = Duration::from_millis(silence.parse().ok()?);
        Some(Self { session: ChatSession { key: key.clone(), tenant, alias, last_active }, silence })
    }
}

fn fields(session: &ChatSession, silence: Duration) -> Vec<Value> {
    let alias = session.alias.as_ref().map_or("", SessionKey::as_str);
    vec![session.tenant.as_str().into(), alias.into(), session.last_active.as_millis().into(), millis(silence)]
}

fn millis(duration: Duration) -> Value {
    // Redis takes no longer times to live.
    const LONGEST: u128 = 1 << 52;
    Value::from(duration.as_millis().clamp(1, LONGEST) as i64)
}

fn unavailable(operation: &'static str, error: LinkError) -> ChatSessionError {
    ChatSessionError::Unavailable { operation, source: error.boxed() }
}
