//! All or nothing.

use std::time::Duration;

use hookswitch_hub::HubConfig;
use hookswitch_protocol::{ErrorCode, Retry, UserId};
use hookswitch_switch::SwitchConfig;

use crate::stage::{Stage, event, key, tenant, until, with_id};

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_entry_refuses_all() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    let check = async |bad, index, field, code| {
        let batch = vec![event("alert", "{}"), event("chat.session.started", r#"{"session_id":"s"}"#), bad];
        let error = stage.accept(batch).await.expect_err("refused");
        assert_eq!((error.index(), error.field(), error.code()), (Some(index), Some(field), code), "{error}");
        assert_eq!(error.retry(), Retry::Never);
        assert_eq!(stage.script.take_calls(), [""; 0], "{error}: nothing was done");
    };
    check(event("pong", "{}"), 2, "type", ErrorCode::ReservedType).await;
    check(event("webhook.disabled", "{}"), 2, "type", ErrorCode::ReservedType).await;
    check(event("alert", "{}").to_user(UserId::from(0)), 2, "user_id", ErrorCode::InvalidField).await;
    let torn = event("chat.message", r#"{"session_id":1}"#).in_session(key("2"));
    check(torn, 2, "session_id", ErrorCode::InvalidField).await;
    let empty = event("chat.session.ended", r#"{"session_id":""}"#);
    check(empty, 2, "payload.session_id", ErrorCode::InvalidField).await;
    assert_eq!(stage.hub().sessions().find_known(&key("s")), None);
    assert_eq!(stage.switch.metrics().accepted.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_refuses_all_and_leaves_no_session() {
    let stage = Stage::new().await;
    stage.webhook(&["chat.*"]).await;
    let started = || with_id("a", event("chat.session.started", r#"{"session_id":"s"}"#));
    for call in ["ledger.look_up", "chat.start", "ledger.enqueue"] {
        stage.script.fail(call);
        let error = stage.accept(vec![event("alert", "{}"), started()]).await.expect_err(call);
        assert_eq!(error.code(), ErrorCode::StorageUnavailable, "{call}");
        assert_ne!(error.retry(), Retry::Never, "{call}");
        assert_eq!(stage.hub().sessions().find_known(&key("s")), None, "{call}");
        assert!(!stage.script.take_calls().iter().any(|call| call.starts_with("live")), "{call}");
        stage.script.heal(call);
    }
    stage.accept(vec![event("alert", "{}"), started()]).await.expect("the same again is not a conflict");
    assert!(stage.hub().sessions().find_known(&key("s")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_end_leaves_the_session_alive() {
    let stage = Stage::new().await;
    stage.accept(vec![event("chat.session.started", r#"{"session_id":"s","session_key":"k"}"#)]).await.expect("ok");
    stage.script.fail("ledger.enqueue");
    let ended = || with_id("a", event("chat.session.ended", r#"{"session_id":"s"}"#));
    stage.accept(vec![ended()]).await.expect_err("refused");
    assert_eq!(stage.hub().sessions().resolve_known(&tenant("t"), &key("s")), Some(key("k")), "also by its other name");
    stage.script.heal("ledger.enqueue");
    stage.accept(vec![ended()]).await.expect("accepted");
    assert_eq!(stage.hub().sessions().find_known(&key("k")), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_hub_refuses_before_anything_is_stored() {
    let hub = HubConfig { mailbox_events: 1_000, publish_deadline: Duration::from_millis(10), ..HubConfig::default() };
    let stage = Stage::with(hub, SwitchConfig::default()).await;
    stage.webhook(&["*"]).await;
    let all_room = stage.hub().reserve(&tenant("t"), 1_000).await.expect("empty");
    let batch = || vec![with_id("a", event("chat.session.started", r#"{"session_id":"s"}"#))];
    let error = stage.accept(batch()).await.expect_err("no room");
    assert_eq!(error.code(), ErrorCode::Overloaded);
    assert_eq!(stage.script.take_calls(), [""; 0]);
    drop(all_room);
    stage.accept(batch()).await.expect("room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_does_not_hold_up_what_does_not_need_it() {
    let config = SwitchConfig { store_events: 1_000, store_wait: Duration::from_millis(20), ..SwitchConfig::default() };
    let stage = Stage::with(HubConfig::default(), config).await;
    stage.webhook(&["call.ended"]).await;
    let mut anna = stage.agent("t", 1).await;
    stage.script.hold("ledger.enqueue");
    let waiting = tokio::join!(stage.accept(vec![event("call.ended", "{}"); 1_000]), async {
        until("the batch waits for the store", || stage.script.has_call("ledger.enqueue")).await;
        let next = vec![event("call.ended", "{}"); 200];
        let error = stage.accept(next).await.expect_err("the store has enough to do");
        assert_eq!(error.code(), ErrorCode::Overloaded);
        stage.accept(vec![event("alert", "{}")]).await.expect("passes by");
        assert_eq!(anna.types(1).await, ["alert"]);
        stage.script.release("ledger.enqueue");
    });
    assert_eq!(waiting.0.expect("accepted at last").len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_batch_is_accepted_and_does_nothing() {
    let stage = Stage::new().await;
    assert_eq!(stage.accept(Vec::new()).await.expect("nothing to refuse"), []);
    assert_eq!(stage.script.take_calls(), [""; 0]);
}
