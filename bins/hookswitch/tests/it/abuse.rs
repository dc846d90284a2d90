//! Clients that mean harm: floods without reading, names without end. Memory stays bounded.

use std::time::Duration;

use hookswitch_testkit::{Frame, Opcode, RawSocket, Token};
use serde_json::json;

use crate::stage::{Stage, TENANT, event};

const MIB: u64 = 1024 * 1024;

/// Sends the bytes again and again without reading anything, until the node stops taking them or
/// enough were sent; then a neighbour must still be served at once, and memory be what it was.
async fn flood(bytes: &[u8], total: usize) {
    let stage = Stage::start().await;
    let mut neighbour = stage.agent(1).await;
    let mut socket = RawSocket::connect_narrow(stage.addr()).await;
    socket.upgrade("/ws", &stage.sign(&Token::new(TENANT, 2))).await;
    let before = stage.node.resident_bytes();
    let chunk = bytes.repeat((64 * 1024 / bytes.len()).max(1));
    let sending = async {
        let mut sent = 0;
        while sent < total && socket.try_send(&chunk).await.is_ok() {
            sent += chunk.len();
        }
    };
    // A node that stops reading from one who does not read is right as well.
    let _stopped = tokio::time::timeout(Duration::from_secs(5), sending).await;
    stage.service().publish(event("alert")).await;
    neighbour.expect("alert").await;
    let grown = stage.node.resident_bytes().saturating_sub(before);
    assert!(grown < 24 * MIB, "{} MiB for one hostile client", grown / MIB);
}

#[tokio::test]
async fn a_flood_of_pings_without_reading_the_pongs() {
    flood(&Frame::new(Opcode::Ping, vec![b'x'; 125]).masked(), 64 * 1024 * 1024).await;
}

#[tokio::test]
async fn a_flood_of_ping_commands_without_reading_the_answers() {
    flood(&Frame::new(Opcode::Text, r#"{"type":"ping"}"#).masked(), 24 * 1024 * 1024).await;
}

#[tokio::test]
async fn a_flood_of_bad_commands_without_reading_the_errors() {
    flood(&Frame::new(Opcode::Text, r#"{"type":"nonsense"}"#).masked(), 24 * 1024 * 1024).await;
}

#[tokio::test]
async fn ever_new_names_do_not_pile_up() {
    let stage = Stage::start().await;
    // A few rounds each, of ten tenants in turn: a machine that is fast enough has one tenant's agents say more
    // than its share, and they are told so.
    let rounds = async |agents: std::ops::Range<i64>| {
        for user in agents {
            let mut agent = stage.agent_of(&format!("tenant-{}", user % 10), user).await;
            agent.subscribe(&["alert"]).await;
            for round in 0..5 {
                let names: Vec<_> =
                    (0..250).map(|n| format!("a.rather.long.name.nobody.uses.{user}.{round}.{n}")).collect();
                for command in ["subscribe", "unsubscribe"] {
                    agent.send_json(json!({"type": command, "payload": {"events": names}})).await;
                }
                agent.expect_silence().await;
            }
        }
    };
    rounds(1..21).await;
    let before = stage.node.resident_bytes();
    rounds(21..121).await;
    let grown = stage.node.resident_bytes().saturating_sub(before);
    assert!(grown < 8 * MIB, "125,000 names that nobody keeps cost {} MiB", grown / MIB);
}

#[tokio::test]
async fn ever_new_event_types_do_not_pile_up() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    let mut rounds = async |range: std::ops::Range<usize>| {
        for round in range {
            let events: Vec<_> =
                (0..200).map(|n| json!({"type": format!("a.rather.long.type.nobody.knows.{round}.{n}")})).collect();
            stage.service().publish(json!({"events": events})).await;
            for _ in 0..200 {
                agent.next_event(hookswitch_testkit::PATIENCE).await;
            }
        }
    };
    rounds(0..50).await;
    let before = stage.node.resident_bytes();
    rounds(50..550).await;
    let grown = stage.node.resident_bytes().saturating_sub(before);
    assert!(grown < 8 * MIB, "100,000 event types that came once cost {} MiB", grown / MIB);
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing() {
    let stage = Stage::start().await;
    let rounds = async |count: usize| {
        for user in 1..=count {
            let mut agent = stage.agent(user).await;
            agent.subscribe(&["call.*", "alert"]).await;
            agent.close().await;
        }
    };
    rounds(300).await;
    let before = stage.node.resident_bytes();
    rounds(2_000).await;
    let grown = stage.node.resident_bytes().saturating_sub(before);
    assert!(grown < 8 * MIB, "2,000 connections that are gone cost {} MiB", grown / MIB);
}
