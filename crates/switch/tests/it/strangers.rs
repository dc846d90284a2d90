//! Callers who go away, and a switchboard that does.

use std::time::Duration;

use hookswitch_protocol::ErrorCode;

use crate::stage::{Stage, event, key, until, with_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_caller_goes_away_is_accepted_whole() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    let mut anna = stage.agent("t", 1).await;
    for held in ["ledger.look_up", "chat.start", "ledger.enqueue", "live"] {
        stage.script.take_calls();
        stage.script.hold(held);
        let batch = vec![
            with_id(held, event("chat.session.started", &format!(r#"{{"session_id":"{held}"}}"#))),
            event("alert", "{}"),
        ];
        let waiting = until("the batch is under way", || stage.script.has_call(held));
        tokio::select! {
            accepted = stage.accept(batch.clone()) => panic!("{held}: {accepted:?} although it is held"),
            () = waiting => {}
        }
        stage.script.release(held);
        assert_eq!(anna.types(2).await, ["chat.session.started", "alert"], "{held}");
        assert!(stage.hub().sessions().find_known(&key(held)).is_some(), "{held}");
        stage.accept(vec![batch[0].clone()]).await.expect("a repetition");
    }
    assert_eq!(stage.switch.metrics().repeated.get(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_soft_token_nothing_new_is_accepted_and_the_rest_is_finished() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    stage.script.hold("ledger.enqueue");
    let (accepted, ()) = tokio::join!(stage.accept(vec![event("alert", "{}")]), async {
        until("the batch is under way", || stage.script.has_call("ledger.enqueue")).await;
        stage.scope.soft().cancel();
        let late = stage.accept(vec![event("alert", "{}")]).await.expect_err("too late");
        assert_eq!(late.code(), ErrorCode::Draining);
        stage.script.release("ledger.enqueue");
    });
    accepted.expect("begun in time");
    tokio::time::timeout(Duration::from_secs(10), stage.scope.shut_down(Duration::from_secs(8))).await.expect("ends");
}
