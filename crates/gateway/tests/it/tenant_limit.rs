//! A tenant that asks too often is told so, and no other is.

use std::num::NonZeroU32;

use serde_json::json;

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenant_is_held_back_and_no_other() {
    let rig = Rig::with(|config, _| config.tenant_rate_limit = NonZeroU32::new(1)).await;
    let service = rig.service("tenant-1");
    assert_eq!(service.try_publish(json!({"type": "alert"})).await.status, 202);
    let refused = loop {
        // The bucket refills within a second, and a slow machine may take that long for one call.
        let answer = service.try_publish(json!({"type": "alert"})).await;
        if answer.status != 202 {
            break answer;
        }
    };
    let message = refused.expect_error(429, "rate_limited");
    assert!(message.starts_with("the tenant makes more than 1 requests per second"), "{message}");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(rig.service("tenant-2").get("/api/v1/webhooks").await.status, 200);
    // An agent that connects is no request, and neither is a look at the node.
    for user in 1..4 {
        rig.agent("tenant-1", user).await;
    }
    let metrics = rig.api().get("/metrics").await.text();
    assert!(metrics.contains("hookswitch_events_refused_total{code=\"rate_limited\"}"), "{metrics}");
    assert!(metrics.lines().any(|line| line.starts_with("hookswitch_rate_limited_total ")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_limit_nobody_is_held_back() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    for _ in 0..200 {
        assert_eq!(service.try_publish(json!({"type": "alert"})).await.status, 202);
    }
}
