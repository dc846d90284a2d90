//! Whoever has as many connections as it may have is told so, and nobody else notices.

use hookswitch_hub::ConnectionCaps;
use serde_json::json;

use crate::rig::{Rig, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_beyond_a_cap_are_refused_and_counted() {
    let rig =
        Rig::with(|_, hub| hub.connection_caps = ConnectionCaps { per_tenant: 4, per_user: 2, per_session: 1 }).await;
    let started = json!({"type": "chat.session.started", "payload": {"session_id": "s-1"}});
    rig.service("tenant-1").publish(started).await;
    let _of_user = (rig.agent("tenant-1", 1).await, rig.agent("tenant-1", 1).await);
    let visitor = rig.visitor("s-1").await;
    let refusal = async |path: &str, tenant: &str, user: i64| {
        let bearer = format!("Bearer {}", token(tenant, user));
        let answer = rig.api().upgrade(path, &[("authorization", &bearer)]).await;
        if answer.status == 101 {
            return String::new();
        }
        assert_eq!(answer.header("retry-after"), "30");
        answer.expect_error(503, "too_many_connections")
    };
    assert!(refusal("/ws", "tenant-1", 1).await.starts_with("the user has 2 connections"));
    assert!(refusal("/ws/public/s-1", "tenant-1", 1).await.starts_with("the chat session has 1 connections"));
    let _other = rig.agent("tenant-1", 2).await;
    assert!(refusal("/ws", "tenant-1", 3).await.starts_with("the tenant has 4 connections"));
    assert_eq!(refusal("/ws", "tenant-2", 1).await, "", "another tenant");
    let metrics = rig.api().get("/metrics").await.text();
    for limit in ["tenant", "user", "session"] {
        assert!(metrics.contains(&format!("hookswitch_refused_upgrades_total{{limit=\"{limit}\"}} 1")), "{metrics}");
    }
    visitor.close().await;
}
