//! Options over REST: accepted, answered, taken back, and each mistake named.

use serde_json::{Value, json};

use crate::rig::Rig;

const WEBHOOKS: &str = "/api/v1/webhooks";

fn with(more: &Value) -> Value {
    let mut body = json!({"name": "CRM", "url": "https://1.1.1.1/hook", "events": ["call.*"]});
    let fields = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    body
}

fn all_options() -> Value {
    json!({
        "retry_profile": "durable", "retry_statuses": [429, 408], "max_in_flight": 2, "rate_limit": 50,
        "expiry": {"queue.*": 30, "call.ended": 0}, "ordered_by": "call",
        "headers": {"Authorization": "Bearer very-secret", "X-Site": "north"},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_are_answered_as_they_are_written_and_header_values_never() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let created = service.post(WEBHOOKS, with(&all_options())).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let webhook = created.data();
    for (option, value) in all_options().as_object().expect("an object") {
        let wanted = match option.as_str() {
            "retry_statuses" => json!([408, 429]),
            "headers" => json!({"Authorization": "***", "X-Site": "***"}),
            _ => value.clone(),
        };
        assert_eq!(webhook[option], wanted, "{option}");
    }
    assert_eq!((&webhook["retry_count"], &webhook["secret_set"]), (&json!(10), &json!(false)));
    assert_eq!((&webhook["last_triggered_at"], &webhook["health"]["breaker"]), (&Value::Null, &json!("closed")));
    let path = format!("{WEBHOOKS}/{}", webhook["id"]);
    for text in [created.text(), service.get(&path).await.text(), service.get(WEBHOOKS).await.text()] {
        assert!(!text.contains("very-secret") && !text.contains("north"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_get_answers_can_be_sent_back() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let webhook = service.post(WEBHOOKS, with(&all_options())).await.data();
    let path = format!("{WEBHOOKS}/{}", webhook["id"]);
    let back = service.put(&path, webhook.clone()).await;
    assert_eq!(back.status, 200, "{}", back.text());
    let mut back = back.data();
    back["updated_at"] = webhook["updated_at"].clone();
    assert_eq!(back, webhook);
    let defaults = json!({"retry_profile": "standard", "retry_statuses": [], "max_in_flight": 0, "rate_limit": 0,
        "expiry": {}, "ordered_by": "none", "headers": {}});
    let cleared = service.put(&path, defaults.clone()).await.data();
    for (option, value) in defaults.as_object().expect("an object") {
        assert_eq!(&cleared[option], value, "{option}");
    }
    let masked = service.put(&path, json!({"headers": {"X-Site": "***"}})).await;
    let message = masked.expect_error(400, "invalid_field");
    assert!(message.starts_with("headers entry \"X-Site\" is \"***\""), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_names_its_field_on_create_and_on_update() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let id = service.post(WEBHOOKS, with(&json!({}))).await.data()["id"].clone();
    for (field, value) in [
        ("retry_profile", json!("fast")),
        ("retry_profile", json!(1)),
        ("retry_statuses", json!([500])),
        ("retry_statuses", json!("429")),
        ("max_in_flight", json!(101)),
        ("rate_limit", json!(10_001)),
        ("expiry", json!({"call.*": 604_801})),
        ("expiry", json!(["call.*"])),
        ("ordered_by", json!("tenant")),
        ("headers", json!({"Host": "x"})),
        ("headers", json!({"X-A": "a\nb"})),
        ("headers", json!({"X-A": 5})),
        ("generate_secret", json!("yes")),
    ] {
        let change = json!({ field: value });
        let created = service.post(WEBHOOKS, with(&change)).await;
        let updated = service.put(&format!("{WEBHOOKS}/{id}"), change.clone()).await;
        for answer in [created, updated] {
            let message = answer.expect_error(400, "invalid_field");
            assert!(message.starts_with(field), "{change}: {message}");
            assert_eq!(answer.json()["error"]["details"]["field"], json!(field));
        }
    }
    assert_eq!(service.get(WEBHOOKS).await.meta()["total"], json!(1), "nothing more was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_made_here_is_shown_once() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let created = service.post(WEBHOOKS, with(&json!({"generate_secret": true}))).await.data();
    let secret = created["generated_secret"].as_str().expect("shown once").to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    assert_eq!(created["secret_set"], json!(true));
    let path = format!("{WEBHOOKS}/{}", created["id"]);
    for text in [service.get(&path).await.text(), service.put(&path, json!({"name": "N"})).await.text()] {
        assert!(!text.contains(&secret) && !text.contains("generated_secret"), "{text}");
    }
    let again = service.put(&path, json!({"generate_secret": true})).await.data();
    assert_ne!(again["generated_secret"], json!(secret));
    let both = service.post(WEBHOOKS, with(&json!({"generate_secret": true, "secret": "s"}))).await;
    assert!(both.expect_error(400, "invalid_field").starts_with("generate_secret"));
}
