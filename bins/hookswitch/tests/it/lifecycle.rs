//! How a node ends: clients are told, deliveries finish or are kept, and it does not take long.

use std::collections::HashSet;
use std::time::Duration;

use hookswitch_testkit::{Behaviour, Receiver, Token, WsRequest, eventually};
use serde_json::json;
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
