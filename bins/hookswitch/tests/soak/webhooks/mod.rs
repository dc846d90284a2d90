//! The long must-holds of webhooks: shared databases, outages, receivers that do not play along.

mod away;
mod endless;
mod isolation;
mod shared;

use std::time::Duration;

use hookswitch_testkit::{ApiClient, MariaDb, NodeSpec};
use serde_json::{Value, json};

use crate::stage::spec;

/// How long a request may take before its publisher looks for another node.
const PATIENCE: Duration = Duration::from_secs(15);

/// A node on a shared database, which it brings up to date.
fn on_database(database: &MariaDb) -> NodeSpec {
    spec().env("DATABASE_URL", &database.url()).args(&["serve", "--migrate"])
}

/// Registers a webhook, and gives its id.
async fn register(api: &ApiClient, url: &str, events: &[&str], more: Value) -> i64 {
    let mut body = json!({"name": "soak", "url": url, "events": events});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let answer = api.post("/api/v1/webhooks", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["data"]["id"].as_i64().expect("an id")
}

/// Publishes once; the status, or `None` when there was no answer.
async fn try_publish(api: &ApiClient, events: &[Value]) -> Option<u16> {
    let body = json!({"events": events}).to_string();
    let request = api.try_send("POST".parse().expect("a method"), "/api/v1/events", body.into(), &[]);
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Some(answer.status),
        Ok(Err(_)) | Err(_) => None,
    }
}
