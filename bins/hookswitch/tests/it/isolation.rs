//! Tenants do not see, delay or count each other.

use std::time::Duration;

use hookswitch_testkit::{Behaviour, Receiver, Token};
use serde_json::json;
use tokio::time::Instant;

use crate::stage::{OTHER, Stage, TENANT, event, event_for, expect_exactly};

#[tokio::test]
async fn another_tenants_webhooks_hear_nothing() {
    let (stage, ours, theirs) = (Stage::start().await, Receiver::healthy().await, Receiver::healthy().await);
    stage.webhook(&ours.url("/"), &["alert", "call.ended"]).await;
    let body = json!({"name": "x", "url": theirs.url("/"), "events": ["alert", "call.ended"]});
    assert_eq!(stage.service_of(OTHER).post("/api/v1/webhooks", body).await.status, 201);
    stage.service().publish(event("alert")).await;
    ours.wait_for(1).await;
    stage.service_of(OTHER).publish(event("call.ended")).await;
    assert_eq!(theirs.wait_for(1).await[0].json()["event"], "call.ended");
    assert_eq!((ours.count(), theirs.count()), (1, 1));
}

#[tokio::test]
async fn presence_and_counts_are_each_tenants_own() {
    let stage = Stage::start().await;
    let _agent = stage.agent(5).await;
    let stranger = stage.api(&Token::new(OTHER, 1));
    assert_eq!(stranger.get("/ws/users/5/online").await.json()["is_online"], false);
    let stats = stranger.get("/ws/stats").await.json();
    assert_eq!((&stats["tenant_connections"], &stats["total_connections"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn offline_messages_are_each_tenants_own() {
    let stage = Stage::start().await;
    stage.service().publish(event_for(5, "notification")).await;
    let mut stranger = stage.agent_of(OTHER, 5).await;
    stranger.expect_silence().await;
    let mut agent = stage.agent(5).await;
    assert_eq!(agent.expect("notification").await["tenant_id"], TENANT);
    stranger.expect_silence().await;
}

#[tokio::test]
async fn a_dead_receiver_does_not_delay_a_live_one() {
    const EVENTS: usize = 60;
    let stage = Stage::start().await;
    let (dead, live) = (Receiver::start([Behaviour::Hang]).await, Receiver::healthy().await);
    stage.webhook(&live.url("/"), &["alert"]).await;
    let alone = first_attempt_delay(&stage, &live, EVENTS).await;
    stage.webhook(&dead.url("/"), &["alert"]).await;
    let beside = first_attempt_delay(&stage, &live, EVENTS).await;
    assert!(
        beside < alone * 3 + Duration::from_millis(300),
        "alone {alone:?}, beside a receiver that never answers {beside:?}"
    );
    // The other half of the promise: at most ten of its deliveries are in flight.
    assert_eq!(dead.wait_for(10).await.len(), 10);
    let again = first_attempt_delay(&stage, &live, EVENTS).await;
    assert!(again < alone * 3 + Duration::from_millis(300), "with the dead one saturated {again:?}");
    assert_eq!(dead.count(), 10);
}

/// The worst of the delays between publishing and arrival, one event after another.
async fn first_attempt_delay(stage: &Stage, receiver: &Receiver, events: usize) -> Duration {
    let service = stage.service();
    let mut worst = Duration::ZERO;
    for _ in 0..events {
        let (seen, published) = (receiver.count(), Instant::now());
        service.publish(event("alert")).await;
        let requests = receiver.wait_for(seen + 1).await;
        worst = worst.max(requests[seen].at.saturating_duration_since(published));
    }
    worst
}

#[tokio::test]
async fn a_busy_tenant_does_not_starve_a_quiet_one() {
    let stage = Stage::start().await;
    let mut busy = Vec::new();
    for user in 1..=100 {
        busy.push(stage.agent_of(OTHER, user).await);
    }
    let mut quiet = stage.agent(1).await;
    let (noisy, service) = (stage.service_of(OTHER), stage.service());
    let storm = async {
        for _ in 0..20 {
            let events: Vec<_> = (0..50).map(|_| event("queue.stats")).collect();
            noisy.publish(json!({"events": events})).await;
        }
    };
    let calls = async {
        let mut worst = Duration::ZERO;
        for _ in 0..20 {
            let published = Instant::now();
            service.publish(event("call.incoming")).await;
            quiet.expect("call.incoming").await;
            worst = worst.max(published.elapsed());
        }
        worst
    };
    let ((), worst) = tokio::join!(storm, calls);
    assert!(worst < Duration::from_secs(2), "a call waited {worst:?} behind another tenant's statistics");
    expect_exactly(&mut quiet, &[]).await;
}
