//! Who may do what with webhooks.

use hookswitch_testkit::{ApiClient, Token};
use serde_json::json;

use crate::stage::{Stage, TENANT};

fn body() -> serde_json::Value {
    json!({"name": "CRM", "url": "https://crm.example/hook", "events": ["alert"]})
}

async fn reads(api: &ApiClient, id: i64) -> Vec<u16> {
    let mut statuses = Vec::new();
    for path in [String::new(), format!("/{id}"), format!("/{id}/logs"), format!("/{id}/stats"), "/failed".to_owned()] {
        statuses.push(api.get(&format!("/api/v1/webhooks{path}")).await.status);
    }
    statuses
}

async fn writes(api: &ApiClient, id: i64) -> Vec<u16> {
    vec![
        api.post("/api/v1/webhooks", body()).await.status,
        api.put(&format!("/api/v1/webhooks/{id}"), json!({"name": "x"})).await.status,
        api.post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await.status,
        api.post(&format!("/api/v1/webhooks/{id}/rotate-secret"), json!({})).await.status,
        api.post(&format!("/api/v1/webhooks/{id}/enable"), json!({})).await.status,
        api.post(&format!("/api/v1/webhooks/{id}/resend"), json!({"since": "2026-01-01T00:00:00Z"})).await.status,
        api.post(&format!("/api/v1/webhooks/{id}/deliveries/0199/resend"), json!({})).await.status,
        api.delete(&format!("/api/v1/webhooks/{id}")).await.status,
    ]
}

#[tokio::test]
async fn each_role_may_what_it_may() {
    let stage = Stage::start().await;
    for (role, read, write) in [
        ("admin", 200, [201, 200, 200, 200, 200, 200, 404, 200]),
        ("service", 200, [201, 200, 200, 200, 200, 200, 404, 200]),
        ("supervisor", 200, [403; 8]),
        ("agent", 403, [403; 8]),
        ("janitor", 403, [403; 8]),
    ] {
        let id = stage.webhook("http://127.0.0.1:9/", &["alert"]).await;
        let api = stage.api(&Token::new(TENANT, 1).role(role));
        assert_eq!(reads(&api, id).await, [read; 5], "{role} reads");
        assert_eq!(writes(&api, id).await, write, "{role} writes");
    }
}

#[tokio::test]
async fn a_refusal_uses_the_envelope() {
    let stage = Stage::start().await;
    let agent = stage.api(&Token::new(TENANT, 1));
    agent.get("/api/v1/webhooks").await.expect_error(403, "forbidden");
    stage.node.api().get("/api/v1/webhooks").await.expect_error(401, "unauthorized");
    let supervisor = stage.api(&Token::new(TENANT, 1).role("supervisor"));
    supervisor.post("/api/v1/webhooks", body()).await.expect_error(403, "forbidden");
}
