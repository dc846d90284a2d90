//! What happens before what.

use hookswitch_protocol::UserId;

use crate::stage::{Stage, event, tenant, with_id};

#[tokio::test(flavor = "multi_thread")]
async fn effects_come_in_the_order_that_survives_a_crash() {
    let stage = Stage::new().await;
    stage.webhook(&["chat.*"]).await;
    let batch = vec![
        with_id("a", event("chat.session.started", r#"{"session_id":"s"}"#)),
        event("notification", "{}").to_user(UserId::from(7)),
        event("alert", "{}"),
        event("chat.session.ended", r#"{"session_id":"s"}"#),
    ];
    stage.accept(batch).await.expect("accepted");
    let expected = [
        "ledger.look_up 1",
        "chat.start s",
        "chat.end s",
        "offline.put 1",
        "ledger.enqueue 2 to 2",
        "live chat.session.started",
        "live alert",
        "live chat.session.ended",
    ];
    assert_eq!(stage.script.take_calls(), expected, "and what was kept for the absent user is not live as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_concerns_nobody_else_touches_no_store() {
    let stage = Stage::new().await;
    stage.webhook(&["call.ended"]).await;
    let mut anna = stage.agent("t", 1).await;
    let batch = vec![
        event("call.incoming", "{}"),
        event("notification", "{}").to_user(UserId::from(1)),
        event("chat.message", r#"{"session_id":"nobody's"}"#),
    ];
    stage.accept(batch).await.expect("accepted");
    assert_eq!(stage.script.take_calls(), ["live call.incoming", "live notification", "live chat.message"]);
    assert_eq!(anna.types(3).await, ["call.incoming", "notification", "chat.message"]);
    assert_eq!(stage.switch.metrics().live_only.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_made_one_after_the_other_arrive_in_order() {
    let stage = Stage::new().await;
    stage.webhook(&["call.ended"]).await;
    let mut anna = stage.agent("t", 1).await;
    for number in 0..300 {
        // Every third goes the long way through the ledger.
        let event_type = if number % 3 == 0 { "call.ended" } else { "call.answered" };
        stage.accept(vec![event(event_type, &format!(r#"{{"n":{number}}}"#))]).await.expect("accepted");
    }
    for number in 0..300 {
        assert_eq!(anna.next().await.expect("connected")["payload"]["n"], number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_crosses_tenants() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    let (mut own, mut foreign) = (stage.agent("t", 1).await, stage.agent("other", 1).await);
    stage.switch.accept(&tenant("other"), vec![event("call.ended", "{}")]).await.expect("accepted");
    stage.accept(vec![event("alert", "{}")]).await.expect("accepted");
    assert_eq!(own.types(1).await, ["alert"]);
    assert_eq!(foreign.types(1).await, ["call.ended"]);
    let calls = stage.script.take_calls();
    assert_eq!(calls, ["live call.ended", "ledger.enqueue 1 to 1", "live alert"], "the webhook is tenant t's");
}
