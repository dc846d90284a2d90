//! What a user missed while away: kept, in order, once, bounded, and given back when it could not be read.

use std::collections::BTreeSet;
use std::time::Duration;

use hookswitch_testkit::{PATIENCE, RawSocket, Token, WsClient, eventually};
use serde_json::{Value, json};

use crate::stage::{Stage, TENANT, event, event_for, expect_exactly};

fn numbered(user: i64, n: usize) -> Value {
    json!({"type": "notification", "user_id": user, "payload": {"n": n}})
}

async fn publish_numbered(stage: &Stage, user: i64, numbers: std::ops::Range<usize>) {
    let events: Vec<_> = numbers.map(|n| numbered(user, n)).collect();
    for batch in events.chunks(1000) {
        stage.service().publish(json!({"events": batch})).await;
    }
}

async fn expect_numbers(client: &mut WsClient, numbers: std::ops::Range<usize>) {
    for n in numbers {
        assert_eq!(client.expect("notification").await["payload"]["n"], n);
    }
}

#[tokio::test]
async fn missed_messages_come_oldest_first_and_before_newer_ones() {
    let stage = Stage::start().await;
    publish_numbered(&stage, 5, 0..600).await;
    let mut agent = stage.agent(5).await;
    publish_numbered(&stage, 5, 600..620).await;
    expect_numbers(&mut agent, 0..620).await;
    agent.expect_silence().await;
}

#[tokio::test]
async fn they_look_like_any_event_and_keep_their_time_and_id() {
    let stage = Stage::start().await;
    let ids = stage.service().publish(numbered(5, 1)).await;
    let mut agent = stage.agent(5).await;
    let got = agent.expect("notification").await;
    assert_eq!((&got["id"], &got["user_id"], &got["tenant_id"]), (&json!(ids[0]), &json!(5), &json!(TENANT)));
    assert_eq!(got["payload"], json!({"n": 1}));
}

#[tokio::test]
async fn they_come_once() {
    let stage = Stage::start().await;
    publish_numbered(&stage, 5, 0..3).await;
    let mut agent = stage.agent(5).await;
    expect_numbers(&mut agent, 0..3).await;
    agent.expect_silence().await;
    agent.close().await;
    let mut agent = stage.agent(5).await;
    stage.service().publish(event("alert")).await;
    expect_exactly(&mut agent, &["alert"]).await;
}

#[tokio::test]
async fn what_was_seen_live_is_not_kept_and_tenant_wide_events_never_are() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(5).await;
    stage.service().publish(event_for(5, "notification")).await;
    agent.expect("notification").await;
    agent.close().await;
    gone(&stage, 5).await;
    stage.service().publish(event("alert")).await;
    let mut agent = stage.agent(5).await;
    stage.service().publish(event("call.ended")).await;
    expect_exactly(&mut agent, &["call.ended"]).await;
}

async fn gone(stage: &Stage, user: i64) {
    let (api, path) = (stage.api(&Token::new(TENANT, 1)), format!("/ws/users/{user}/online"));
    eventually("the user is offline", PATIENCE, || async { api.get(&path).await.json()["is_online"] == false }).await;
}

#[tokio::test]
async fn they_survive_a_crash() {
    let stage = Stage::start().await;
    publish_numbered(&stage, 5, 0..50).await;
    let stage = stage.crash_and_restart().await;
    publish_numbered(&stage, 5, 50..60).await;
    let mut agent = stage.agent(5).await;
    expect_numbers(&mut agent, 0..60).await;
    agent.expect_silence().await;
}

#[tokio::test]
async fn the_oldest_are_dropped_beyond_ten_thousand_and_the_user_is_told() {
    let stage = Stage::start().await;
    publish_numbered(&stage, 5, 0..10_020).await;
    let mut agent = stage.agent(5).await;
    let (mut seen, mut dropped) = (Vec::new(), 0);
    while seen.last() != Some(&10_019) {
        let got = agent.next_event(PATIENCE).await;
        if got["type"] == "error" {
            assert_eq!(got["payload"]["code"], "messages_dropped", "{got}");
            dropped += got["payload"]["dropped"].as_u64().expect("how many");
        } else {
            seen.push(got["payload"]["n"].as_u64().expect("a number"));
        }
    }
    assert!(seen.is_sorted() && seen.len() <= 10_000, "{} kept", seen.len());
    assert!(seen.len() >= 9_000, "about ten thousand are kept, not {}", seen.len());
    assert_eq!(seen.len() as u64 + dropped, 10_020, "what was dropped is told");
}

#[tokio::test]
async fn a_reader_that_dies_in_the_middle_gives_the_rest_back() {
    const MESSAGES: usize = 4_000;
    const BYTES: usize = 4_096;
    let stage = Stage::start().await;
    let filler = "x".repeat(BYTES);
    for first in (0..MESSAGES).step_by(200) {
        let event = |n| json!({"type": "notification", "user_id": 5, "payload": {"n": n, "filler": filler}});
        stage.service().publish(json!({"events": (first..first + 200).map(event).collect::<Vec<_>>()})).await;
    }
    let mut dying = RawSocket::connect_narrow(stage.addr()).await;
    dying.upgrade("/ws", &stage.sign(&Token::new(TENANT, 5))).await;
    dying.read_text().await;
    drop(dying);
    gone(&stage, 5).await;
    let mut agent = stage.agent(5).await;
    let first = agent.expect("notification").await["payload"]["n"].as_u64().expect("a number") as usize;
    // The kernel's buffers hold a few megabytes at most; what was not even written must come now.
    assert!(first < MESSAGES * 2 / 3, "everything before {first} was lost on a reader that read one");
    expect_numbers(&mut agent, first + 1..MESSAGES).await;
    agent.expect_silence().await;
}

#[tokio::test]
async fn text_users_have_their_messages_too() {
    let stage = Stage::start().await;
    stage.service().publish(event_for("user-123", "notification")).await;
    stage.service().publish(event_for("456", "notification")).await;
    assert_eq!(stage.agent("user-123").await.expect("notification").await["user_id"], "user-123");
    assert_eq!(stage.agent(456).await.expect("notification").await["user_id"], 456);
}

#[tokio::test]
async fn a_race_between_connecting_and_publishing_loses_nothing() {
    let stage = Stage::start().await;
    for round in 0..20 {
        let user = 1000 + round;
        let publish = publish_numbered(&stage, user, 0..20);
        let connect = async {
            tokio::time::sleep(Duration::from_millis(round.unsigned_abs())).await;
            stage.agent(user).await
        };
        let ((), mut agent) = tokio::join!(publish, connect);
        expect_numbers(&mut agent, 0..20).await;
        agent.expect_silence().await;
    }
}

/// A page that is reloaded closes in good order, and the server hears of it a moment later than the
/// publisher publishes. Messages may come twice when a page of them was cut off, but none is missing.
#[tokio::test]
async fn nothing_is_lost_while_a_user_reloads_the_page() {
    const N_EVENTS: u64 = 1_500;
    let stage = Stage::start().await;
    let service = stage.service();
    let publish = async {
        for n in 0..N_EVENTS {
            service.publish(json!({"type": "notification", "user_id": 5, "payload": {"n": n}})).await;
        }
    };
    let mut missing: BTreeSet<u64> = (0..N_EVENTS).collect();
    let mut note = |events: Vec<Value>| {
        for event in events {
            missing.remove(&event["payload"]["n"].as_u64().expect("a number"));
        }
        missing.is_empty()
    };
    let reload = async {
        loop {
            let mut agent = stage.agent(5).await;
            let mut is_complete = false;
            for _ in 0..30 {
                is_complete = note(vec![agent.expect("notification").await]);
                if is_complete {
                    break;
                }
            }
            if note(agent.close().await) || is_complete {
                return;
            }
        }
    };
    tokio::join!(publish, reload);
}
