//! The retry schedule, and that a crash in the middle of it loses nothing.

use std::time::Duration;

use hookswitch_testkit::{Behaviour, Receiver};
use serde_json::json;

use crate::stage::{Stage, event};

/// Enough for 14 s and the tolerance.
const SCHEDULE: Duration = Duration::from_secs(25);

fn failing(times: usize) -> Vec<Behaviour> {
    let mut script = vec![Behaviour::status(500); times];
    script.push(Behaviour::status(200));
    script
}

#[tokio::test]
async fn four_attempts_at_0_2_6_and_14_seconds_with_the_same_id_and_body() {
    let stage = Stage::start().await;
    let receiver = Receiver::start(failing(3)).await;
    let body = json!({"name": "x", "url": receiver.url("/"), "events": ["alert"], "secret": "s"});
    let id = stage.webhook_with(body).await;
    stage.service().publish(event("alert")).await;
    let attempts = receiver.wait_for_within(4, SCHEDULE).await;
    for (n, (attempt, due)) in attempts.iter().zip([0.0, 2.0, 6.0, 14.0]).enumerate() {
        let at = (attempt.at - attempts[0].at).as_secs_f64();
        assert!((at - due).abs() <= due * 0.2, "attempt {} at {at:.2} s, due at {due} s", n + 1);
        assert_eq!(attempt.header("X-Webhook-Attempt"), Some((n + 1).to_string().as_str()));
        assert_eq!((attempt.delivery_id(), &attempt.body), (attempts[0].delivery_id(), &attempts[0].body));
        assert!(attempt.has_hex_signature("s") && attempt.has_standard_signature("s"), "attempt {}", n + 1);
    }
    let rows = stage.log_rows(id, 4).await;
    let summary: Vec<_> = rows.iter().map(|row| (row["attempt"].as_u64(), row["response_code"].as_u64())).collect();
    assert_eq!(summary, [(Some(1), Some(500)), (Some(2), Some(500)), (Some(3), Some(500)), (Some(4), Some(200))]);
    assert_eq!(receiver.count(), 4);
}

#[tokio::test]
async fn retries_end_after_retry_count() {
    let stage = Stage::start().await;
    let receiver = Receiver::start([Behaviour::status(500)]).await;
    let sentinel = Receiver::start(failing(2)).await;
    let body = |url, retries| json!({"name": "x", "url": url, "events": ["alert"], "retry_count": retries});
    let id = stage.webhook_with(body(receiver.url("/"), 1)).await;
    stage.webhook_with(body(sentinel.url("/"), 2)).await;
    stage.service().publish(event("alert")).await;
    sentinel.wait_for_within(3, SCHEDULE).await;
    assert_eq!((receiver.count(), stage.log_rows(id, 2).await.len()), (2, 2));
}

#[tokio::test]
async fn a_crash_between_attempts_keeps_the_delivery() {
    let stage = Stage::start().await;
    let receiver = Receiver::start(failing(1)).await;
    let id = stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    stage.log_rows(id, 1).await;
    let stage = stage.crash_and_restart().await;
    let attempts = receiver.wait_for_within(2, SCHEDULE).await;
    assert_eq!(attempts[0].delivery_id(), attempts[1].delivery_id());
    assert_eq!(attempts[0].body, attempts[1].body);
    assert_eq!(attempts[1].header("X-Webhook-Attempt"), Some("2"));
    stage.log_rows(id, 2).await;
}

#[tokio::test]
async fn a_crash_during_an_attempt_sends_it_again_at_once() {
    let stage = Stage::start().await;
    let receiver = Receiver::start([Behaviour::Hang, Behaviour::status(200)]).await;
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    receiver.wait_for(1).await;
    let _stage = stage.crash_and_restart().await;
    // Well before a lease of a 30 s timeout could have expired.
    let attempts = receiver.wait_for_within(2, Duration::from_secs(10)).await;
    assert_eq!(attempts[0].delivery_id(), attempts[1].delivery_id());
}

#[tokio::test]
async fn old_retries_do_not_hold_up_first_attempts() {
    let stage = Stage::start().await;
    let (failing, healthy) = (Receiver::start([Behaviour::status(500)]).await, Receiver::healthy().await);
    stage.webhook(&failing.url("/"), &["call.ended"]).await;
    stage.webhook(&healthy.url("/"), &["alert"]).await;
    // Not so many that the breaker opens: then there would be no retries.
    stage.service().publish(json!({"events": vec![event("call.ended"); 40]})).await;
    failing.wait_for(40).await;
    let published = tokio::time::Instant::now();
    stage.service().publish(event("alert")).await;
    let arrived = healthy.wait_for(1).await[0].at;
    assert!(arrived - published < Duration::from_secs(1), "waited {:?}", arrived - published);
}
