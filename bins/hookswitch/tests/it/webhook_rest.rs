//! The webhook endpoints of the contract: what they answer, under both prefixes, with and without a slash.

use hookswitch_testkit::Receiver;
use serde_json::{Value, json};

use crate::stage::{OTHER, Stage, TENANT, event};

const FIELDS: [&str; 10] =
    ["id", "tenant_id", "name", "url", "events", "is_active", "retry_count", "timeout", "created_at", "updated_at"];

fn body() -> Value {
    json!({"name": "CRM", "url": "https://crm.example/hook", "events": ["call.incoming", "agent.state.changed"],
           "secret": "very-secret-text"})
}

#[tokio::test]
async fn created_read_listed_changed_and_deleted() {
    let stage = Stage::start().await;
    let service = stage.service();
    for prefix in ["/api/v1/webhooks", "/api/webhooks"] {
        let created = service.post(prefix, body()).await;
        assert_eq!(created.status, 201);
        let webhook = created.data();
        for field in FIELDS {
            assert!(webhook.get(field).is_some(), "{field} is missing: {webhook}");
        }
        assert!(!created.text().contains("very-secret-text"), "never the secret: {}", created.text());
        assert_eq!((&webhook["tenant_id"], &webhook["name"]), (&json!(TENANT), &json!("CRM")));
        assert_eq!((&webhook["is_active"], &webhook["retry_count"]), (&json!(true), &json!(3)));
        assert_eq!((&webhook["timeout"], &webhook["events"]), (&json!(30), &body()["events"]));

        let path = format!("{prefix}/{}", webhook["id"]);
        let read = service.get(&path).await;
        assert_eq!((read.status, read.data()), (200, webhook.clone()));
        let list = service.get(prefix).await;
        assert_eq!((list.status, list.data()), (200, json!([webhook])));
        assert!(list.meta().is_object(), "paging stands in meta: {}", list.text());
        assert!(!list.text().contains("very-secret-text"));

        let changed = service.put(&path, json!({"name": "New", "is_active": false, "retry_count": 0})).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let changed = changed.data();
        assert_eq!((&changed["name"], &changed["is_active"]), (&json!("New"), &json!(false)));
        assert_eq!((&changed["url"], &changed["retry_count"]), (&webhook["url"], &json!(0)));

        let deleted = service.delete(&path).await;
        assert_eq!((deleted.status, deleted.data()), (200, Value::Null));
        assert_eq!(service.get(prefix).await.data(), json!([]));
    }
}

async fn each_endpoint_says_404(service: &hookswitch_testkit::ApiClient, path: &str) {
    service.get(path).await.expect_error(404, "not_found");
    service.put(path, json!({"name": "x"})).await.expect_error(404, "not_found");
    // The tenant check comes before the body check.
    service.put(path, json!({"name": 5, "events": []})).await.expect_error(404, "not_found");
    service.post(&format!("{path}/test"), json!({})).await.expect_error(404, "not_found");
    for change in ["rotate-secret", "enable", "resend", "deliveries/0199/resend"] {
        service.post_text(&format!("{path}/{change}"), "no JSON").await.expect_error(404, "not_found");
    }
    service.get(&format!("{path}/logs")).await.expect_error(404, "not_found");
    service.get(&format!("{path}/stats")).await.expect_error(404, "not_found");
    service.delete(path).await.expect_error(404, "not_found");
}

#[tokio::test]
async fn what_is_deleted_unknown_or_anothers_is_404() {
    let stage = Stage::start().await;
    let id = stage.webhook("https://crm.example/", &["alert"]).await;
    let path = format!("/api/v1/webhooks/{id}");
    each_endpoint_says_404(&stage.service_of(OTHER), &path).await;
    assert_eq!(stage.service_of(OTHER).get("/api/v1/webhooks").await.data(), json!([]));
    assert_eq!(stage.service().get(&path).await.data()["name"], "A receiver", "untouched by the attempts");
    stage.service().delete(&path).await;
    each_endpoint_says_404(&stage.service(), &path).await;
    each_endpoint_says_404(&stage.service(), "/api/v1/webhooks/999999").await;
}

#[tokio::test]
async fn a_trailing_slash_makes_no_difference() {
    let stage = Stage::start().await;
    let service = stage.service();
    for prefix in ["/api/v1/webhooks", "/api/webhooks"] {
        let id = service.post(&format!("{prefix}/"), body()).await.data()["id"].clone();
        assert_eq!(service.get(&format!("{prefix}/")).await.data().as_array().map(Vec::len), Some(1));
        assert_eq!(service.get(&format!("{prefix}/{id}/")).await.data()["id"], id);
        assert_eq!(service.get(&format!("{prefix}/{id}/logs/")).await.status, 200);
        assert_eq!(service.get(&format!("{prefix}/{id}/stats/")).await.status, 200);
        assert_eq!(service.get(&format!("{prefix}/failed/")).await.status, 200);
        assert_eq!(service.put(&format!("{prefix}/{id}/"), json!({"name": "N"})).await.data()["name"], "N");
        assert_eq!(service.delete(&format!("{prefix}/{id}/")).await.status, 200);
    }
}

#[tokio::test]
async fn a_change_takes_effect() {
    let stage = Stage::start().await;
    let (old, new) = (Receiver::healthy().await, Receiver::healthy().await);
    let id = stage.webhook(&old.url("/"), &["alert"]).await;
    let path = format!("/api/v1/webhooks/{id}");
    let change = json!({"url": new.url("/"), "events": ["call.ended"], "secret": "later"});
    assert_eq!(stage.service().put(&path, change).await.status, 200);
    stage.service().publish(json!({"events": [event("alert"), event("call.ended")]})).await;
    let got = &new.wait_for(1).await[0];
    assert_eq!(got.json()["event"], "call.ended");
    assert!(got.has_hex_signature("later"), "{:?}", got.headers);
    stage.service().put(&path, json!({"is_active": false})).await;
    stage.service().publish(event("call.ended")).await;
    stage.service().put(&path, json!({"is_active": true})).await;
    stage.service().publish(json!({"type": "call.ended", "payload": {"last": true}})).await;
    let requests = new.wait_for(2).await;
    assert_eq!(requests[1].json()["data"], json!({"last": true}), "the one between was not sent");
    assert_eq!((old.count(), new.count()), (0, 2));
}

#[tokio::test]
async fn a_deleted_webhook_hears_nothing_more() {
    let (stage, receiver, witness) = (Stage::start().await, Receiver::healthy().await, Receiver::healthy().await);
    let id = stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.webhook(&witness.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    receiver.wait_for(1).await;
    stage.service().delete(&format!("/api/v1/webhooks/{id}")).await;
    stage.service().publish(event("alert")).await;
    witness.wait_for(2).await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn webhooks_survive_a_crash() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    let id = stage.webhook(&receiver.url("/"), &["alert"]).await;
    let stage = stage.crash_and_restart().await;
    assert_eq!(stage.service().get(&format!("/api/v1/webhooks/{id}")).await.data()["id"], id);
    stage.service().publish(event("alert")).await;
    receiver.wait_for(1).await;
}
