//! What every test starts with: a node, and people of two tenants.

use hookswitch_testkit::{ApiClient, NodeProcess, NodeSpec, Token, WsClient, WsRequest};
use serde_json::{Value, json};

/// The tenant most tests play in.
pub(crate) const TENANT: &str = "tenant-123";
/// The one who must not notice.
pub(crate) const OTHER: &str = "tenant-456";

/// A node of its own for each test, so that counts are exact and tests may kill it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) node: NodeProcess,
}

/// The program under test, allowed to call webhooks on loopback.
pub(crate) fn spec() -> NodeSpec {
    NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")).with_loopback_webhooks()
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self { node: spec().start().await }
    }

    pub(crate) async fn with(env: &[(&str, &str)]) -> Self {
        let spec = env.iter().fold(spec(), |spec, (name, value)| spec.env(name, value));
        Self { node: spec.start().await }
    }

    /// The same data after `kill -9`.
    pub(crate) async fn crash_and_restart(self) -> Self {
        Self { node: self.node.restart().await }
    }

    pub(crate) fn addr(&self) -> &str {
        self.node.addr()
    }

    pub(crate) fn sign(&self, token: &Token) -> String {
        token.sign(self.node.secret())
    }

    /// A caller of the API with this token.
    pub(crate) fn api(&self, token: &Token) -> ApiClient {
        self.node.api().with_token(self.sign(token))
    }

    /// The back-end of [`TENANT`].
    pub(crate) fn service(&self) -> ApiClient {
        self.service_of(TENANT)
    }

    pub(crate) fn service_of(&self, tenant: &str) -> ApiClient {
        self.api(&Token::service(tenant))
    }

    /// A connection of an agent of [`TENANT`].
    pub(crate) async fn agent(&self, user: impl Into<Value>) -> WsClient {
        self.agent_of(TENANT, user).await
    }

    pub(crate) async fn agent_of(&self, tenant: &str, user: impl Into<Value>) -> WsClient {
        let token = self.sign(&Token::new(tenant, user));
        WsRequest::new(self.addr(), "/ws").bearer(&token).open().await
    }

    /// A visitor's connection to a session that must be known.
    pub(crate) async fn visitor(&self, key: &str) -> WsClient {
        WsRequest::new(self.addr(), &format!("/ws/public/{key}")).open().await
    }

    /// Starts a chat session of [`TENANT`].
    pub(crate) async fn start_chat(&self, session: impl Into<Value>) {
        let payload = json!({"session_id": session.into(), "status": "open"});
        self.service().publish(json!({"type": "chat.session.started", "payload": payload})).await;
    }

    /// Registers a webhook of [`TENANT`] and returns its id.
    pub(crate) async fn webhook(&self, url: &str, events: &[&str]) -> i64 {
        self.webhook_with(json!({"name": "A receiver", "url": url, "events": events})).await
    }

    pub(crate) async fn webhook_with(&self, body: Value) -> i64 {
        let answer = self.service().post("/api/v1/webhooks", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.data()["id"].as_i64().expect("the id is an integer")
    }

    /// The log rows of a webhook once there are `n`, oldest attempt first.
    pub(crate) async fn log_rows(&self, webhook: i64, n: usize) -> Vec<Value> {
        let (service, path) = (self.service(), format!("/api/v1/webhooks/{webhook}/logs?limit=100"));
        let what = format!("{n} log rows of webhook {webhook}");
        hookswitch_testkit::eventually_some(&what, hookswitch_testkit::PATIENCE, || async {
            let mut rows = service.get(&path).await.data().as_array().cloned().expect("data is an array");
            rows.sort_by_key(|row| row["id"].as_i64());
            (rows.len() >= n).then_some(rows)
        })
        .await
    }
}

/// An event of this type with a small payload.
pub(crate) fn event(event_type: &str) -> Value {
    json!({"type": event_type, "payload": {"unique_id": "1729866000.1"}})
}

/// An event of this type for one user.
pub(crate) fn event_for(user: impl Into<Value>, event_type: &str) -> Value {
    json!({"type": event_type, "payload": {}, "user_id": user.into()})
}

/// These events and nothing else arrive, in this order: publish a marker last.
pub(crate) async fn expect_exactly(client: &mut WsClient, types: &[&str]) {
    for wanted in types {
        client.expect(wanted).await;
    }
    client.expect_silence().await;
}
