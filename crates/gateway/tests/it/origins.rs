//! Which pages may open a WebSocket and call REST.

use hookswitch_gateway::AllowedOrigins;
use serde_json::json;

use crate::rig::{Rig, token};

async fn status(rig: &Rig, path: &str, origin: &str) -> u16 {
    let bearer = format!("Bearer {}", token("tenant-1", 1));
    let mut headers = vec![("authorization", bearer.as_str())];
    if !origin.is_empty() {
        headers.push(("origin", origin));
    }
    rig.api().upgrade(path, &headers).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_default_a_page_may_open_its_own_host_only() {
    let rig = Rig::open().await;
    let own = format!("http://{}", rig.addr);
    assert_eq!(status(&rig, "/ws", "").await, 101);
    assert_eq!(status(&rig, "/ws", &own).await, 101);
    for evil in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(status(&rig, "/ws", evil).await, 403, "{evil}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn widgets_may_stand_on_any_page_unless_listed() {
    let rig = Rig::with(|config, _| {
        config.public_origins = AllowedOrigins::parse("https://shop.example").expect("legal");
    })
    .await;
    let started = json!({"type": "chat.session.started", "payload": {"session_id": "s-1"}});
    rig.service("tenant-1").publish(started).await;
    assert_eq!(status(&rig, "/ws/public/s-1", "https://shop.example").await, 101);
    assert_eq!(status(&rig, "/ws/public/s-1", "https://evil.example").await, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn preflights_and_answers_name_allowed_origins_only() {
    let rig = Rig::with(|config, _| {
        config.origins = AllowedOrigins::parse("https://app.example").expect("legal");
    })
    .await;
    let preflight = rig.api().options("/api/v1/events", &[("origin", "https://app.example")]).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(preflight.header("access-control-allow-methods"), "POST, GET, HEAD, OPTIONS");
    let refused = rig.api().options("/api/v1/events", &[("origin", "https://evil.example")]).await;
    refused.expect_error(403, "origin_refused");
    assert!(!refused.headers.contains_key("access-control-allow-origin"));
}
