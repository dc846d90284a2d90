//! A client that stops reading: bounded, told afterwards, and nobody else's problem.

use std::time::Duration;

use hookswitch_testkit::{RawSocket, Token};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage::{Stage, TENANT, event};

const EVENTS: u64 = 2_000;
const BYTES: usize = 16 * 1024;

async fn publish(stage: &Stage, numbers: std::ops::Range<u64>) {
    let filler = "x".repeat(BYTES);
    let events: Vec<_> =
        numbers.map(|n| json!({"type": "queue.stats", "payload": {"n": n, "filler": filler}})).collect();
    stage.service().publish(json!({"events": events})).await;
}

#[tokio::test]
async fn it_is_bounded_and_told_while_others_are_served() {
    let stage = Stage::start().await;
    let mut stalled = RawSocket::connect_narrow(stage.addr()).await;
    stalled.upgrade("/ws", &stage.sign(&Token::new(TENANT, 1))).await;
    let mut reader = stage.agent(2).await;
    publish(&stage, 0..20).await;
    for n in 0..20 {
        assert_eq!(reader.expect("queue.stats").await["payload"]["n"], n);
    }
    let before = stage.node.resident_bytes();
    let mut worst = Duration::ZERO;
    for first in (20..EVENTS).step_by(20) {
        let started = Instant::now();
        publish(&stage, first..first + 20).await;
        for n in first..first + 20 {
            assert_eq!(reader.expect("queue.stats").await["payload"]["n"], n, "a reader loses nothing");
        }
        worst = worst.max(started.elapsed());
    }
    assert!(worst < Duration::from_secs(3), "a reader waited {worst:?}");
    let grown = stage.node.resident_bytes().saturating_sub(before);
    assert!(grown < 48 * 1024 * 1024, "32 MB for a client that does not read cost {grown} bytes");
    read_with_gaps_told(&stage, &mut stalled).await;
}

/// Every gap is announced before anything newer, with its ends, and the newest events are all there.
async fn read_with_gaps_told(stage: &Stage, stalled: &mut RawSocket) {
    let (mut next, mut n_gaps, mut gap) = (0, 0, None);
    // Nothing urgent, or it would overtake.
    stage.service().publish(event("ticket.created")).await;
    loop {
        let got: Value = serde_json::from_str(&stalled.read_text().await).expect("one JSON object");
        match got["type"].as_str() {
            Some("queue.stats") => {
                let n = got["payload"]["n"].as_u64().expect("a number");
                assert_eq!(n - next > 0, gap.take().is_some(), "gaps are told, and told once: {next}..{n}");
                next = n + 1;
            }
            Some("error") => {
                let payload = &got["payload"];
                assert_eq!(payload["code"], "messages_dropped", "{got}");
                assert!(payload["after"].is_string() && payload["until"].is_string(), "{got}");
                (gap, n_gaps) = (Some(()), n_gaps + 1);
            }
            Some("ticket.created") => break,
            _ => panic!("unexpected: {got}"),
        }
    }
    assert!(n_gaps > 0 && next == EVENTS, "{n_gaps} gaps, {next} accounted for");
}
