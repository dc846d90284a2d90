//! What a webhook may not be: each mistake is 400 and names its field, and nothing is stored.

use serde_json::{Value, json};

use crate::stage::Stage;

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"name": "CRM", "url": "https://crm.example/hook", "events": ["alert"]});
    body[field] = value;
    body
}

fn mistakes() -> Vec<(&'static str, Value)> {
    let mut cases = vec![
        ("name", json!("")),
        ("name", json!("n".repeat(256))),
        ("name", json!(5)),
        ("events", json!([])),
        ("events", json!("alert")),
        ("events", json!([5])),
        ("events", json!(["Bad Type"])),
        ("events", json!([""])),
        ("retry_count", json!(-1)),
        ("retry_count", json!(21)),
        ("retry_count", json!("3")),
        ("retry_count", json!(1.5)),
        ("timeout", json!(0)),
        ("timeout", json!(121)),
        ("timeout", json!("30s")),
        ("secret", json!(5)),
        ("secret", json!("whsec_not base64!")),
        ("secret", json!("s".repeat(256))),
    ];
    let urls = [
        "",
        "not a url",
        "crm.example/hook",
        "ftp://crm.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https://user:password@crm.example/",
        "https://user@crm.example/",
        "https://crm.example:99999/",
        "https://crm.example:0/",
    ];
    cases.extend(urls.iter().map(|&url| ("url", json!(url))));
    cases.push(("url", json!(format!("https://crm.example/{}", "x".repeat(481)))));
    cases.push(("url", json!(5)));
    cases
}

#[tokio::test]
async fn creating_refuses_each_mistake_and_stores_nothing() {
    let stage = Stage::start().await;
    for (field, value) in mistakes() {
        let answer = stage.service().post("/api/v1/webhooks", with(field, value.clone())).await;
        assert_eq!(answer.status, 400, "{field} = {value}: {}", answer.text());
        assert!(answer.text().contains(field), "{field} = {value} should be named: {}", answer.text());
    }
    for field in ["name", "url", "events"] {
        let mut body = with("x", json!(1));
        body.as_object_mut().expect("an object").remove(field);
        let answer = stage.service().post("/api/v1/webhooks", body).await;
        assert_eq!(answer.status, 400, "without {field}");
        assert!(answer.text().contains(field), "{}", answer.text());
    }
    for body in ["", "{", "[]", "5"] {
        assert_eq!(stage.service().post_text("/api/v1/webhooks", body).await.status, 400, "{body}");
    }
    assert_eq!(stage.service().get("/api/v1/webhooks").await.data(), json!([]));
}

#[tokio::test]
async fn changing_refuses_each_mistake_and_changes_nothing() {
    let stage = Stage::start().await;
    let id = stage.webhook("https://crm.example/", &["alert"]).await;
    let path = format!("/api/v1/webhooks/{id}");
    let before = stage.service().get(&path).await.data();
    for (field, value) in mistakes() {
        let mut change = json!({"name": "changed"});
        change[field] = value.clone();
        let answer = stage.service().put(&path, change).await;
        assert_eq!(answer.status, 400, "{field} = {value}: {}", answer.text());
        assert!(answer.text().contains(field), "{field} = {value} should be named: {}", answer.text());
    }
    assert_eq!(stage.service().put(&path, json!({"is_active": "yes"})).await.status, 400);
    assert_eq!(stage.service().get(&path).await.data(), before);
}

#[tokio::test]
async fn the_limits_themselves_are_allowed() {
    let stage = Stage::start().await;
    for (field, value) in [
        ("name", json!("n".repeat(255))),
        ("url", json!(format!("https://crm.example/{}", "x".repeat(480)))),
        ("url", json!("https://no-such-host.invalid/is-checked-when-sending")),
        ("retry_count", json!(0)),
        ("retry_count", json!(20)),
        ("timeout", json!(1)),
        ("timeout", json!(120)),
        ("events", json!(["survey.completed"])),
        ("secret", json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
    ] {
        let answer = stage.service().post("/api/v1/webhooks", with(field, value.clone())).await;
        assert_eq!(answer.status, 201, "{field} = {value}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_bad_query_is_400_too() {
    let stage = Stage::start().await;
    let id = stage.webhook("https://crm.example/", &["alert"]).await;
    for query in [
        format!("/{id}/logs?limit=abc"),
        format!("/{id}/logs?limit=-1"),
        format!("/{id}/stats?since=yesterday"),
        "/failed?since=yesterday".to_owned(),
    ] {
        let answer = stage.service().get(&format!("/api/v1/webhooks{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    for query in
        [format!("/{id}/stats?since=2025-10-25T12:00:00Z"), "/failed?since=2025-10-25T12:00:00%2B02:00".to_owned()]
    {
        let answer = stage.service().get(&format!("/api/v1/webhooks{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    }
}
