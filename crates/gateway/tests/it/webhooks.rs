//! Webhooks over REST: shapes, roles, tenants, paging.

use serde_json::json;

use crate::rig::Rig;

fn crm() -> serde_json::Value {
    json!({"name": "CRM", "url": "https://1.1.1.1/hook", "events": ["call.*"], "secret": "hush"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_made_read_changed_and_deleted_under_both_prefixes() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    for prefix in ["/api/v1/webhooks", "/api/webhooks"] {
        let created = service.post(&format!("{prefix}/"), crm()).await;
        assert_eq!(created.status, 201, "{}", created.text());
        let webhook = created.data();
        assert_eq!((&webhook["retry_count"], &webhook["timeout"]), (&json!(3), &json!(30)));
        assert!(!created.text().contains("hush"));
        let path = format!("{prefix}/{}", webhook["id"]);
        assert_eq!(service.get(&path).await.data(), webhook);
        let changed = service.put(&path, json!({"name": "New", "is_active": false})).await;
        assert_eq!((changed.status, &changed.data()["name"]), (200, &json!("New")));
        let deleted = service.delete(&path).await;
        assert_eq!((deleted.status, deleted.json()["data"].is_null()), (200, true));
        service.get(&path).await.expect_error(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_pages() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    for _ in 0..3 {
        assert_eq!(service.post("/api/v1/webhooks", crm()).await.status, 201);
    }
    let page = service.get("/api/v1/webhooks?limit=2&offset=1").await;
    assert_eq!(page.data().as_array().map(Vec::len), Some(2));
    assert_eq!(page.meta(), json!({"total": 3, "limit": 2, "offset": 1}));
    let second = service.get("/api/v1/webhooks?limit=2&page=2").await;
    assert_eq!(second.data().as_array().map(Vec::len), Some(1));
    let first = service.get("/api/v1/webhooks?limit=2").await.meta();
    assert_eq!(first, json!({"total": 3, "limit": 2, "offset": 0, "more": true, "next": first["next"]}));
    let next = first["next"].as_str().expect("a cursor").to_owned();
    let rest = service.get(&format!("/api/v1/webhooks?limit=2&cursor={next}")).await;
    assert_eq!(rest.data(), second.data());
    assert_eq!(rest.meta(), json!({"total": 3, "limit": 2, "offset": 0}));
    for (path, cursor) in [("", "a1.1"), ("", "w"), ("/failed", &*next), ("/failed", "s1.1")] {
        let refused = service.get(&format!("/api/v1/webhooks{path}?cursor={cursor}")).await;
        let message = refused.expect_error(400, "invalid_field");
        assert!(message.starts_with("cursor "), "{message}");
    }
    service.get("/api/v1/webhooks?limit=0").await.expect_error(400, "invalid_field");
    service.get("/api/v1/webhooks/failed?since=yesterday").await.expect_error(400, "invalid_field");
    assert_eq!(service.get("/api/v1/webhooks/failed").await.data(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_webhook_is_404_before_anything_else() {
    let rig = Rig::open().await;
    let id = rig.service("tenant-1").post("/api/v1/webhooks", crm()).await.data()["id"].clone();
    let stranger = rig.service("tenant-2");
    let path = format!("/api/v1/webhooks/{id}");
    stranger.get(&path).await.expect_error(404, "not_found");
    stranger.put(&path, json!({"timeout": "not a number"})).await.expect_error(404, "not_found");
    stranger.delete(&path).await.expect_error(404, "not_found");
    stranger.post(&format!("{path}/test"), json!({})).await.expect_error(404, "not_found");
    stranger.get(&format!("{path}/logs?limit=x")).await.expect_error(404, "not_found");
    stranger.get(&format!("{path}/stats?since=x")).await.expect_error(404, "not_found");
    stranger.get("/api/v1/webhooks/abc").await.expect_error(404, "not_found");
    assert_eq!(stranger.get("/api/v1/webhooks").await.data(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_fields_are_named_and_nothing_is_stored() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let refuse = async |field: &str, value: serde_json::Value, code: &str| {
        let mut body = crm();
        body[field] = value;
        let message = service.post("/api/v1/webhooks", body).await.expect_error(400, code);
        assert!(message.starts_with(field), "{message}");
    };
    refuse("name", json!(null), "invalid_field").await;
    refuse("name", json!(5), "invalid_field").await;
    refuse("events", json!([]), "invalid_field").await;
    refuse("timeout", json!(0), "invalid_field").await;
    refuse("retry_count", json!(21), "invalid_field").await;
    refuse("url", json!("https://x.example:70000/"), "invalid_field").await;
    refuse("url", json!("http://1.1.1.1/"), "invalid_field").await;
    refuse("url", json!("https://169.254.169.254/"), "address_blocked").await;
    refuse("url", json!("https://[::ffff:10.0.0.1]/"), "address_blocked").await;
    service.post_text("/api/v1/webhooks", "[1]").await.expect_error(400, "invalid_json");
    assert_eq!(service.get("/api/v1/webhooks").await.data(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supervisors_read_and_agents_see_nothing() {
    let rig = Rig::open().await;
    let (supervisor, agent) = (rig.role("tenant-1", "supervisor"), rig.role("tenant-1", "agent"));
    assert_eq!(supervisor.get("/api/v1/webhooks").await.status, 200);
    supervisor.post("/api/v1/webhooks", crm()).await.expect_error(403, "forbidden");
    agent.get("/api/v1/webhooks").await.expect_error(403, "forbidden");
    rig.api().get("/api/v1/webhooks").await.expect_error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_a_new_webhook_are_zero() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let id = service.post("/api/v1/webhooks", crm()).await.data()["id"].clone();
    let stats = service.get(&format!("/api/v1/webhooks/{id}/stats")).await.data();
    assert_eq!((&stats["total_deliveries"], &stats["success_rate"]), (&json!(0), &json!(0.0)));
    let logs = service.get(&format!("/api/v1/webhooks/{id}/logs")).await;
    assert_eq!((logs.data(), &logs.meta()["limit"]), (json!([]), &json!(50)));
}
