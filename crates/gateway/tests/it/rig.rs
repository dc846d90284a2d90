//! One node in this process: everything real except that nothing survives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookswitch_gateway::{
    Authenticator, Gateway, GatewayConfig, GatewayParts, Health, JwtAuthenticator, JwtConfig, Probe, Severity, listen,
};
use hookswitch_hub::{Hub, HubBuilder, HubConfig};
use hookswitch_protocol::{NodeId, Secret};
use hookswitch_runtime::metrics::registry;
use hookswitch_runtime::{Clock, Scope};
use hookswitch_switch::{SwitchConfig, Switchboard};
use hookswitch_testkit::{ApiClient, Token, WsClient, WsRequest};
use hookswitch_webhooks::{AddressPolicy, WebhookConfig, WebhookSeams, Webhooks};
use serde_json::{Value, json};

const SECRET: &str = "a secret of at least thirty-two bytes";

/// A running node; it ends with the test's runtime.
pub(crate) struct Rig {
    pub(crate) addr: String,
    pub(crate) gateway: Gateway,
    pub(crate) hub: Hub,
    pub(crate) scope: Scope,
    pub(crate) is_store_well: Arc<AtomicBool>,
}

impl Rig {
    pub(crate) async fn open() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut GatewayConfig, &mut HubConfig)) -> Self {
        let mut config = GatewayConfig::default();
        let mut hub_config = HubConfig { shards: 2, ..HubConfig::default() };
        change(&mut config, &mut hub_config);
        Self::start(config, hub_config, by_secret(), AddressPolicy::strict()).await
    }

    /// With webhooks that may call receivers of this machine.
    pub(crate) async fn with_receivers() -> Self {
        let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal");
        Self::start(GatewayConfig::default(), HubConfig::default(), by_secret(), policy).await
    }

    /// With a way of its own to check tokens.
    pub(crate) async fn trusting(authenticator: impl Authenticator + 'static) -> Self {
        let config = (GatewayConfig::default(), HubConfig::default());
        Self::start(config.0, config.1, Arc::new(authenticator), AddressPolicy::strict()).await
    }

    async fn start(
        config: GatewayConfig,
        hub_config: HubConfig,
        authenticator: Arc<dyn Authenticator>,
        policy: AddressPolicy,
    ) -> Self {
        let (gateway, hub, scope, is_store_well) = build(config, hub_config, authenticator, policy).await;
        let listener = listen("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let addr = listener.local_addr().expect("bound").to_string();
        let (server, tasks) = (gateway.clone(), scope.clone());
        scope.spawn("server", async move { server.serve(listener, &tasks).await });
        Self { addr, gateway, hub, scope, is_store_well }
    }

    pub(crate) fn api(&self) -> ApiClient {
        ApiClient::new(&self.addr)
    }

    /// A back-end service of the tenant.
    pub(crate) fn service(&self, tenant: &str) -> ApiClient {
        self.api().with_token(Token::service(tenant).sign(SECRET))
    }

    /// A caller with this role.
    pub(crate) fn role(&self, tenant: &str, role: &str) -> ApiClient {
        self.api().with_token(Token::new(tenant, 1).role(role).sign(SECRET))
    }

    /// A user's WebSocket.
    pub(crate) async fn agent(&self, tenant: &str, user: i64) -> WsClient {
        WsRequest::new(&self.addr, "/ws").bearer(&token(tenant, user)).open().await
    }

    /// A visitor's WebSocket.
    pub(crate) async fn visitor(&self, session: &str) -> WsClient {
        WsRequest::new(&self.addr, &format!("/ws/public/{session}")).open().await
    }
}

/// Publishes 600 large alerts of `tenant-1`, numbered, each taken in by somebody who reads before the next.
pub(crate) async fn publish_numbered(rig: &Rig, mut taken: impl AsyncFnMut(i64)) {
    let service = rig.service("tenant-1");
    let filler = "x".repeat(16 * 1024);
    for n in 0..N_NUMBERED {
        service.publish(json!({"type": "alert", "payload": {"n": n, "filler": filler}})).await;
        taken(n).await;
    }
}

/// Reads them, slowly: they come in order, and only where that was told are some missing.
pub(crate) async fn check_gaps(mut next: impl AsyncFnMut() -> Value) {
    let (mut expected, mut n_gaps, mut is_told) = (0, 0, false);
    while expected < N_NUMBERED {
        let message = next().await;
        if message["type"] == "error" {
            assert_eq!(message["payload"]["code"], "messages_dropped");
            (n_gaps, is_told) = (n_gaps + 1, true);
        } else {
            let n = message["payload"]["n"].as_i64().expect("a number");
            let has_gap = n > expected;
            assert_eq!(has_gap, std::mem::take(&mut is_told), "in order, and only what was told is missing");
            expected = n + 1;
        }
    }
    assert!(n_gaps > 0, "history holds too much for this test to mean anything");
}

const N_NUMBERED: i64 = 600;

/// A good token of an agent.
pub(crate) fn token(tenant: &str, user: i64) -> String {
    sign(&Token::new(tenant, user))
}

pub(crate) fn sign(token: &Token) -> String {
    token.sign(SECRET)
}

fn by_secret() -> Arc<dyn Authenticator> {
    let config = JwtConfig { secret: Some(Secret::new(SECRET)), ..JwtConfig::default() };
    Arc::new(JwtAuthenticator::new(&config, Clock::system()).expect("a secret is enough"))
}

async fn build(
    config: GatewayConfig,
    hub_config: HubConfig,
    authenticator: Arc<dyn Authenticator>,
    policy: AddressPolicy,
) -> (Gateway, Hub, Scope, Arc<AtomicBool>) {
    let (scope, clock) = (Scope::root("test"), Clock::system());
    let (hub, admission) = HubBuilder::in_memory(hub_config, clock.clone(), &scope).await.expect("a hub");
    let node = NodeId::generate(clock.now());
    let seams = WebhookSeams::memory(&clock);
    let webhooks = Webhooks::start(WebhookConfig::default(), policy, seams, node, clock.clone(), scope.clone());
    let webhooks = webhooks.await.expect("webhooks");
    let switch = Switchboard::new(SwitchConfig::default(), hub.clone(), webhooks, clock.clone(), scope.clone());
    let is_store_well = Arc::new(AtomicBool::new(true));
    let health = Health { mode: Box::new(|| "single-node"), probes: vec![store_probe(&is_store_well)] };
    let parts = GatewayParts {
        admission,
        switch,
        authenticator,
        health,
        metrics: registry(),
        queues: Vec::new(),
        clock,
        scope: scope.clone(),
    };
    (Gateway::new(parts, config), hub, scope, is_store_well)
}

fn store_probe(is_well: &Arc<AtomicBool>) -> Probe {
    let is_well = Arc::clone(is_well);
    let check = move || is_well.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "locked".to_owned());
    Probe { name: "store", severity: Severity::Vital, check: Box::new(move || Box::pin(std::future::ready(check()))) }
}
