//! How a node ends: clients are told, deliveries finish or are kept, and it does not take long.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookswitch_testkit::{ApiClient, Behaviour, Opcode, RawSocket, Receiver, Token, WsRequest, eventually};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::stage::{Stage, TENANT, event, event_for};

/// Five seconds by contract, and a moment for a busy machine.
const GRACE: Duration = Duration::from_millis(6500);

#[tokio::test]
async fn on_sigterm_clients_are_told_to_come_back_and_it_ends_with_0() {
    let mut stage = Stage::start().await;
    stage.start_chat("s").await;
    let mut clients = vec![stage.agent(1).await, stage.agent(2).await, stage.visitor("s").await];
    stage.node.terminate();
    for client in &mut clients {
        assert_eq!(client.close_code().await, 1012);
    }
    assert_eq!(stage.node.wait(GRACE).await.code(), Some(0));
    assert!(TcpStream::connect(stage.addr()).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn on_ctrl_c_it_ends_with_0_too() {
    let mut stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    stage.node.interrupt();
    assert_eq!(agent.close_code().await, 1012);
    assert_eq!(stage.node.wait(GRACE).await.code(), Some(0));
}

#[tokio::test]
async fn when_the_terminal_is_gone_it_ends_in_order_too() {
    let mut stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    stage.node.hang_up();
    assert_eq!(agent.close_code().await, 1012);
    assert_eq!(stage.node.wait(GRACE).await.code(), Some(0));
}

#[tokio::test]
async fn a_running_delivery_is_finished_or_kept() {
    let mut stage = Stage::start().await;
    let quick = Receiver::start([Behaviour::After(Duration::from_secs(1))]).await;
    let never = Receiver::start([Behaviour::Hang, Behaviour::status(200)]).await;
    let quick_id = stage.webhook(&quick.url("/"), &["alert"]).await;
    stage.webhook(&never.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    quick.wait_for(1).await;
    never.wait_for(1).await;
    stage.node.terminate();
    assert_eq!(stage.node.wait(GRACE).await.code(), Some(0));
    let stage = stage.crash_and_restart().await;
    let attempts = never.wait_for(2).await;
    assert_eq!(attempts[0].delivery_id(), attempts[1].delivery_id());
    let rows = stage.log_rows(quick_id, 1).await;
    assert_eq!((rows.len(), quick.count()), (1, 1), "the quick one was finished, not repeated");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut stage = Stage::start().await;
    let never = Receiver::start([Behaviour::Hang]).await;
    stage.webhook(&never.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    never.wait_for(1).await;
    let mut agent = stage.agent(1).await;
    stage.node.terminate();
    assert_eq!(agent.close_code().await, 1012, "the first signal was heard");
    let second = Instant::now();
    stage.node.terminate();
    stage.node.wait(GRACE).await;
    assert!(second.elapsed() < Duration::from_millis(1500), "took {:?}", second.elapsed());
}

#[tokio::test]
async fn while_draining_nobody_new_gets_in() {
    let mut stage = Stage::start().await;
    let never = Receiver::start([Behaviour::Hang]).await;
    stage.webhook(&never.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    never.wait_for(1).await;
    let mut agent = stage.agent(1).await;
    let token = stage.sign(&Token::new(TENANT, 2));
    stage.node.terminate();
    assert_eq!(agent.close_code().await, 1012);
    // Refused by the listener's absence or in words, both will do.
    if TcpStream::connect(stage.addr()).await.is_ok() {
        let upgrade = stage.node.api().with_token(token.clone());
        if let Ok(answer) = upgrade.try_upgrade("/ws").await {
            answer.expect_error(503, "draining");
        }
    }
    assert_eq!(stage.node.wait(GRACE).await.code(), Some(0));
}

#[tokio::test]
async fn what_was_accepted_before_a_crash_is_there_after_it() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.start_chat("s").await;
    stage.service().publish(event_for(7, "notification")).await;
    stage.service().publish(event("alert")).await;
    let stage = stage.crash_and_restart().await;
    receiver.wait_for(1).await;
    stage.agent(7).await.expect("notification").await;
    WsRequest::new(stage.addr(), "/ws/public/s").open().await.expect_silence().await;
}

#[tokio::test]
async fn what_is_accepted_while_it_ends_is_delivered_too() {
    let (mut stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    let service = stage.service();
    let publishing = async {
        let mut accepted = HashSet::new();
        for n in 0_u64.. {
            let body = json!({"type": "alert", "payload": {"n": n}}).to_string();
            let request = service.try_send("POST".parse().expect("a method"), "/api/v1/events", body.into(), &[]);
            // From some moment on it is refused, or nobody is there to answer.
            let Ok(answer) = request.await else { break };
            if answer.status != 202 {
                assert_eq!(answer.status, 503, "{}", answer.text());
                break;
            }
            accepted.insert(n);
        }
        accepted
    };
    let ending = async {
        receiver.wait_for(20).await;
        stage.node.terminate();
        assert_eq!(stage.node.wait(GRACE).await.code(), Some(0));
    };
    let (accepted, ()) = tokio::join!(publishing, ending);
    assert!(accepted.len() >= 20);
    let _stage = stage.crash_and_restart().await;
    eventually("everything accepted has arrived", hookswitch_testkit::PATIENCE, || async {
        let arrived: HashSet<_> =
            receiver.map(|r| r.json()["data"]["n"].as_u64().expect("a number")).into_iter().collect();
        arrived.is_superset(&accepted)
    })
    .await;
}

#[tokio::test]
async fn a_second_node_on_the_same_file_is_refused_and_the_first_lives_on() {
    let stage = Stage::start().await;
    let second = stage.node.spec().run().await;
    assert_eq!(second.code, Some(1), "{}{}", second.stdout, second.stderr);
    assert!(second.stderr.contains("hookswitch.db"), "names the file: {}", second.stderr);
    stage.service().publish(event_for(7, "notification")).await;
    stage.agent(7).await.expect("notification").await;
}

/// Publishes numbered events one by one until the node refuses.
async fn publish_until_refused(service: &ApiClient, is_chosen: bool, n_accepted: &AtomicI64) {
    loop {
        let n = n_accepted.load(Ordering::Relaxed);
        let mut event = event("alert");
        event["payload"] = json!({ "n": n });
        if is_chosen {
            event["id"] = json!(format!("e-{n}"));
        }
        let body = Bytes::from(event.to_string());
        let answer = service.try_send(Method::POST, "/api/v1/events", body, &[]).await;
        if !answer.is_ok_and(|answer| answer.status == 202) {
            return;
        }
        n_accepted.fetch_add(1, Ordering::Relaxed);
    }
}

/// The numbers of all events until the connection ends.
async fn read_to_the_end(mut agent: RawSocket) -> HashSet<i64> {
    let mut seen = HashSet::new();
    while let Some(frame) = agent.read_frame(GRACE).await {
        if frame.opcode == Opcode::Text {
            let event: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            seen.extend(event["payload"]["n"].as_i64());
        }
    }
    seen
}

#[tokio::test]
async fn every_accepted_event_reaches_those_who_are_connected_until_the_end() {
    for is_chosen in [true, false, true, false] {
        let mut stage = Stage::start().await;
        let mut agent = RawSocket::connect(stage.addr()).await;
        agent.upgrade("/ws", &stage.sign(&Token::new(TENANT, 1))).await;
        let (service, n_accepted) = (stage.service(), AtomicI64::new(0));
        let ending = async {
            let many = || std::future::ready(n_accepted.load(Ordering::Relaxed) > 100);
            eventually("events are accepted", GRACE, many).await;
            stage.node.terminate();
            assert_eq!(stage.node.wait(GRACE).await.code(), Some(0));
        };
        let publishing = publish_until_refused(&service, is_chosen, &n_accepted);
        let ((), seen, ()) = tokio::join!(publishing, read_to_the_end(agent), ending);
        let missed: Vec<i64> = (0..n_accepted.into_inner()).filter(|n| !seen.contains(n)).collect();
        assert!(missed.is_empty(), "with chosen ids: {is_chosen}; missed {missed:?}, got {}", seen.len());
    }
}
