//! A node that goes away: what it still answers, and who may ask for it.

use std::time::Duration;

use hookswitch_testkit::{ApiClient, PATIENCE};
use serde_json::json;

use crate::rig::{Rig, token};

async fn drain(caller: &ApiClient) -> hookswitch_testkit::Answer {
    caller.post("/api/v1/admin/drain", json!({})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_drains_everything_new_is_refused_in_the_envelope_and_health_is_told() {
    let rig = Rig::with(|_, hub| hub.drain_window = Duration::from_mins(5)).await;
    let mut agent = rig.agent("tenant-1", 1).await;
    let service = rig.service("tenant-1");
    service.publish(json!({"type": "alert"})).await;
    agent.expect("alert").await;
    let gateway = rig.gateway.clone();
    let _draining = rig.scope.spawn("drain", async move { gateway.drain().await });
    hookswitch_testkit::eventually("it drains", PATIENCE, async || rig.hub.is_draining()).await;

    let refused = [
        service.post("/api/v1/events", json!({"type": "alert"})).await,
        service.get("/api/v1/webhooks").await,
        service.get("/ws/stats").await,
        rig.api().upgrade("/ws/public/some-session", &[]).await,
        rig.api().upgrade("/ws", &[("authorization", &format!("Bearer {}", token("tenant-1", 2)))]).await,
    ];
    for answer in refused {
        answer.expect_error(503, "draining");
        assert_eq!(answer.headers["connection"], "close", "the caller's next connection is to another node");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    rig.api().get("/ws/stats").await.expect_error(401, "unauthorized");
    rig.api().get("/nowhere").await.expect_error(404, "not_found");
    let ready = rig.api().get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["checks"]["accepting"]), (503, &json!("draining")));
    assert_eq!(rig.api().get("/healthz").await.status, 200);
    let metrics = rig.api().get("/metrics").await.text();
    assert!(metrics.contains("\nhookswitch_connections_to_drain 1\n"), "{metrics}");
    assert!(metrics.contains("hookswitch_events_refused_total{code=\"draining\"} 1"), "{metrics}");
    // The window is long: who is here is served.
    agent.expect_silence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_operators_own_tokens_may_ask_for_a_drain() {
    let rig = Rig::with(|config, _| {
        config.admin_tenant = Some(hookswitch_protocol::TenantId::parse("operator").expect("legal"));
    })
    .await;
    drain(&rig.api()).await.expect_error(401, "unauthorized");
    for (tenant, role) in
        [("tenant-1", "service"), ("tenant-1", "admin"), ("operator", "supervisor"), ("operator", "agent")]
    {
        drain(&rig.role(tenant, role)).await.expect_error(403, "forbidden");
    }
    assert!(!rig.hub.is_draining());
    for role in ["service", "admin"] {
        // A second time it is the same.
        let answer = drain(&rig.role("operator", role)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(answer.data(), json!({"state": "draining", "connections": 0, "window_ms": 0}));
    }
    assert_eq!(rig.api().get("/readyz").await.status, 503);
    tokio::time::timeout(PATIENCE, rig.gateway.drain_asked()).await.expect("whoever runs the node hears of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_operators_tenant_nobody_may() {
    let rig = Rig::open().await;
    let refused = drain(&rig.service("tenant-1")).await;
    refused.expect_error(403, "forbidden");
    assert!(refused.text().contains("SERVER_ADMIN_TENANT"), "{}", refused.text());
    assert!(!rig.hub.is_draining());
}
