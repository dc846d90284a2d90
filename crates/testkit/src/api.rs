//! An HTTP client for the node's API: keeps its connection, reads the envelope, checks its form.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Longer than a webhook test delivery may take in a test, shorter than a test's patience with a hung node.
const ANSWER_DEADLINE: Duration = Duration::from_secs(40);

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// One caller of the API; clones share connections.
#[derive(Debug, Clone)]
pub struct ApiClient {
    base: String,
    token: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

impl ApiClient {
    /// A caller without a token; `addr` is `host:port`.
    pub fn new(addr: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Self { base: format!("http://{addr}"), token: None, http }
    }

    /// The same caller with a bearer token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Bytes::new(), &[]).await
    }

    /// `GET path` of a node that may be gone.
    ///
    /// # Errors
    /// When no complete answer came.
    pub async fn try_get(&self, path: &str) -> anyhow::Result<Answer> {
        self.try_send(Method::GET, path, Bytes::new(), &[]).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, Bytes::new(), &[]).await
    }

    /// `OPTIONS path`, as a browser asks before it sends.
    pub async fn options(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::OPTIONS, path, Bytes::new(), headers).await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    /// `POST path` with a body that need not be JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, body.into(), &[("content-type", "application/json")]).await
    }

    /// `PUT path` with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Bytes::from(body.to_string()), &[("content-type", "application/json")]).await
    }

    /// Asks for a WebSocket without being ready to speak it: to read how the node refuses.
    pub async fn upgrade(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = UPGRADE.to_vec();
        all.extend_from_slice(headers);
        self.send(Method::GET, path, Bytes::new(), &all).await
    }

    /// The same of a node that may be gone.
    ///
    /// # Errors
    /// When no complete answer came.
    pub async fn try_upgrade(&self, path: &str) -> anyhow::Result<Answer> {
        self.try_send(Method::GET, path, Bytes::new(), &UPGRADE).await
    }

    /// Publishes one event (or a batch) that must be accepted; returns the ids.
    ///
    /// # Panics
    /// When the answer is not 202.
    pub async fn publish(&self, body: Value) -> Vec<String> {
        let answer = self.try_publish(body).await;
        assert_eq!(answer.status, 202, "publish: {}", answer.text());
        let ids = answer.data()["ids"].as_array().cloned().expect("data.ids is an array");
        ids.iter().map(|id| id.as_str().expect("an id is a string").to_owned()).collect()
    }

    /// Publishes and returns whatever came back.
    pub async fn try_publish(&self, body: Value) -> Answer {
        self.post("/api/v1/events", body).await
    }

    /// Any request.
    ///
    /// # Panics
    /// When no complete answer came.
    pub async fn send(&self, method: Method, path: &str, body: Bytes, headers: &[(&str, &str)]) -> Answer {
        let what = format!("{method} {path}");
        self.try_send(method, path, body, headers).await.unwrap_or_else(|error| panic!("{what}: {error:#}"))
    }

    /// Any request, for callers who expect the node to vanish.
    ///
    /// # Errors
    /// When no complete answer came in 40 s.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).context("a legal request")?;
        let exchange = async {
            let response = self.http.request(request).await.context("no answer")?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.context("the answer broke off")?.to_bytes();
            anyhow::Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(ANSWER_DEADLINE, exchange).await.context("no answer in time")?
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn json(&self) -> Value {
        let (status, text) = (self.status, self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}), status {status}: {text}"))
    }

    /// One header as text, `""` when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or("not text"))
    }

    /// `data` of a success envelope.
    ///
    /// # Panics
    /// When this is not a well-formed success envelope.
    pub fn data(&self) -> Value {
        let mut json = self.envelope();
        assert_eq!(json["success"], true, "status {}: {json}", self.status);
        assert!(json.get("data").is_some(), "data is missing: {json}");
        json["data"].take()
    }

    /// `meta` of a success envelope, null when absent.
    pub fn meta(&self) -> Value {
        self.envelope()["meta"].take()
    }

    /// The message of an error envelope with this status and code.
    ///
    /// # Panics
    /// When it is another, or no well-formed error envelope.
    pub fn expect_error(&self, status: u16, code: &str) -> String {
        let json = self.envelope();
        assert_eq!((self.status, &json["error"]["code"]), (status, &Value::from(code)), "{json}");
        assert_eq!(json["success"], false, "{json}");
        let message = json["error"]["message"].as_str().expect("error.message is a string");
        assert!(!message.is_empty(), "an error without a sentence: {json}");
        message.to_owned()
    }

    fn envelope(&self) -> Value {
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        assert!(self.header("content-type").starts_with("application/json"), "not declared as JSON: {json}");
        assert!(!text("request_id").is_empty(), "request_id is missing: {json}");
        assert!(text("timestamp").ends_with('Z') && text("timestamp").contains('T'), "not RFC 3339 UTC: {json}");
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Behaviour, Receiver};

    #[tokio::test]
    async fn a_request_carries_token_and_body_and_the_answer_comes_back() {
        let receiver = Receiver::start([Behaviour::json(
            202,
            r#"{"success":true,"data":{"ids":["a"]},"request_id":"r","timestamp":"2025-01-01T00:00:00Z"}"#,
        )])
        .await;
        let client = ApiClient::new(&receiver.addr()).with_token("abc");
        assert_eq!(client.publish(serde_json::json!({"type": "x"})).await, ["a"]);
        let seen = receiver.wait_for(1).await;
        assert_eq!(seen[0].header("authorization"), Some("Bearer abc"));
        assert_eq!((seen[0].path.as_str(), seen[0].body.as_ref()), ("/api/v1/events", br#"{"type":"x"}"#.as_slice()));
    }

    #[test]
    #[should_panic(expected = "request_id is missing")]
    fn an_envelope_without_request_id_is_noticed() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        let body = Bytes::from_static(br#"{"success":false,"error":{"code":"x","message":"y"}}"#);
        Answer { status: 404, headers, body }.expect_error(404, "x");
    }
}
