//! A switchboard with everything around it, and the people who use it.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hookswitch_hub::memory::{Inbox, MemoryBroker, MemoryChatSessions, MemoryOffline, MemoryTransport};
use hookswitch_hub::{Admission, Attachment, Hub, HubBuilder, HubConfig, OfflineLimits, Seams, Subject, UserKey};
use hookswitch_protocol::{EventId, EventType, NewEvent, NodeId, Payload, SessionKey, TenantId, UserId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_switch::{AcceptError, Broadcaster, SwitchConfig, Switchboard};
use hookswitch_webhooks::{AddressPolicy, MemoryWebhooks, WebhookConfig, WebhookInput, WebhookSeams, Webhooks};

use crate::script::{Script, ScriptedBroker, ScriptedChat, ScriptedLedger, ScriptedOffline};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Stage {
    pub(crate) switch: Switchboard,
    pub(crate) broadcaster: Broadcaster,
    pub(crate) script: Arc<Script>,
    pub(crate) scope: Scope,
    admission: Admission,
    /// Takes connections and never answers, so that deliveries stay under way.
    silent: TcpListener,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(HubConfig::default(), SwitchConfig::default()).await
    }

    pub(crate) async fn with(hub: HubConfig, config: SwitchConfig) -> Self {
        let (scope, clock, script) = (Scope::root("test"), Clock::system(), Arc::new(Script::default()));
        let seams = Seams {
            broker: Arc::new(ScriptedBroker(Arc::clone(&script), MemoryBroker::alone())),
            offline: Arc::new(ScriptedOffline(
                Arc::clone(&script),
                MemoryOffline::new(OfflineLimits::default(), clock.clone()),
            )),
            chat: Arc::new(ScriptedChat(Arc::clone(&script), MemoryChatSessions::default())),
            ..Seams::memory(&clock)
        };
        let hub = HubConfig { shards: 2, ..hub };
        let prepared = HubBuilder::new(hub, clock.clone(), &scope).expect("threads");
        let (hub, admission) = prepared.start(seams).await.expect("starts");
        let memory = Arc::new(MemoryWebhooks::new(&clock));
        let seams = WebhookSeams {
            directory: memory.clone(),
            ledger: Arc::new(ScriptedLedger(Arc::clone(&script), memory.clone())),
            log: memory,
        };
        let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("a network");
        let node = NodeId::generate(clock.now());
        let webhooks = Webhooks::start(WebhookConfig::default(), policy, seams, node, clock.clone(), scope.clone())
            .await
            .expect("starts");
        let switch = Switchboard::new(config, hub, webhooks, clock, scope.clone());
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self { broadcaster: Broadcaster::new(switch.clone()), switch, script, scope, admission, silent }
    }

    pub(crate) fn hub(&self) -> &Hub {
        self.switch.hub()
    }

    /// A webhook of tenant `t` for these event types.
    pub(crate) async fn webhook(&self, events: &[&str]) {
        let input = WebhookInput {
            name: Some("test".to_owned()),
            url: Some(format!("http://{}/", self.silent.local_addr().expect("bound"))),
            events: Some(events.iter().map(ToString::to_string).collect()),
            ..WebhookInput::default()
        };
        self.switch.webhooks().create(&tenant("t"), input).await.expect("a legal webhook");
    }

    pub(crate) async fn accept(&self, batch: Vec<NewEvent>) -> Result<Vec<EventId>, AcceptError> {
        self.switch.accept(&tenant("t"), batch).await
    }

    pub(crate) async fn agent(&self, of: &str, user: i64) -> Listener {
        self.join(of, Subject::User(UserId::from(user))).await
    }

    pub(crate) async fn visitor(&self, of: &str, session: &str) -> Listener {
        self.join(of, Subject::Visitor(key(session))).await
    }

    async fn join(&self, of: &str, subject: Subject) -> Listener {
        let (open, inbox) = MemoryTransport::pair(4_096);
        let who = Attachment::new(tenant(of), subject);
        self.admission.attach(who, MemoryTransport::FORM).await.expect("taken in").open(open).await;
        Listener(inbox)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.scope.hard().cancel();
    }
}

/// Somebody who is connected.
pub(crate) struct Listener(Inbox);

impl Listener {
    /// The next message; `None` when the connection was closed.
    pub(crate) async fn next(&mut self) -> Option<serde_json::Value> {
        let text = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something arrives in time");
        text.map(|text| serde_json::from_str(&text).expect("JSON"))
    }

    /// The types of the next so many messages.
    pub(crate) async fn types(&mut self, n: usize) -> Vec<String> {
        let mut types = Vec::new();
        for _ in 0..n {
            let message = self.next().await.expect("still connected");
            types.push(message["type"].as_str().expect("a type").to_owned());
        }
        types
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect(name)
}

pub(crate) fn key(text: &str) -> SessionKey {
    SessionKey::parse(text).expect(text)
}

pub(crate) fn user(of: &str, number: i64) -> UserKey {
    UserKey { tenant: tenant(of), user: UserId::from(number) }
}

pub(crate) fn event(event_type: &str, payload: &str) -> NewEvent {
    NewEvent::new(EventType::parse(event_type).expect(event_type), Payload::parse(payload).expect(payload))
}

pub(crate) fn with_id(id: &str, event: NewEvent) -> NewEvent {
    NewEvent { id: Some(EventId::parse(id).expect(id)), ..event }
}
