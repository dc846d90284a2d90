//! Public chat sessions: known from their start to their end, one tenant's each.

use hookswitch_protocol::{ErrorCode, Retry, UserId};

use crate::stage::{Stage, event, key, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_sees_its_session_and_leaves_with_its_end() {
    let stage = Stage::new().await;
    stage.accept(vec![event("chat.session.started", r#"{"session_id":1}"#)]).await.expect("accepted");
    stage.accept(vec![event("chat.session.created", r#"{"session_id":2}"#)]).await.expect("accepted");
    let (mut visitor, mut agent) = (stage.visitor("t", "1").await, stage.agent("t", 5).await);
    let batch = vec![
        event("chat.message", r#"{"session_id":2,"body":"another's"}"#),
        event("call.incoming", r#"{"session_id":1}"#),
        event("chat.message", r#"{"session_id":"1","body":"own"}"#),
        event("chat.session.ended", r#"{"session_id":1}"#),
    ];
    stage.accept(batch).await.expect("accepted");
    let own = visitor.next().await.expect("connected");
    assert_eq!(own["payload"]["body"], "own");
    assert_eq!(visitor.types(1).await, ["chat.session.ended"]);
    assert_eq!(visitor.next().await, None, "closed after its last event");
    assert_eq!(agent.types(4).await, ["chat.message", "call.incoming", "chat.message", "chat.session.ended"]);
    assert_eq!(stage.hub().sessions().find_known(&key("1")), None);
    assert!(stage.hub().sessions().find_known(&key("2")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_live_key_is_a_conflict() {
    let stage = Stage::new().await;
    let start = || vec![event("alert", "{}"), event("chat.session.started", r#"{"session_id":"s"}"#)];
    stage.accept(start()).await.expect("the first has it");
    stage.script.take_calls();
    let error = stage.switch.accept(&tenant("other"), start()).await.expect_err("taken");
    assert_eq!((error.index(), error.field(), error.code()), (Some(1), Some("session_id"), ErrorCode::Conflict));
    assert_eq!(stage.script.take_calls(), [""; 0], "and nothing is published");
    stage
        .switch
        .accept(&tenant("other"), vec![event("chat.session.ended", r#"{"session_id":"s"}"#)])
        .await
        .expect("ok");
    assert!(stage.hub().sessions().find_known(&key("s")).is_some(), "a stranger's end is not its end");
    stage.accept(start()).await.expect("the owner may start it again");
    stage.accept(vec![event("chat.session.ended", r#"{"session_id":"s"}"#)]).await.expect("ended");
    stage.switch.accept(&tenant("other"), start()).await.expect("free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn later_events_may_name_the_session_by_either_name() {
    let stage = Stage::new().await;
    stage.accept(vec![event("chat.session.started", r#"{"session_id":7,"session_key":"k"}"#)]).await.expect("accepted");
    let mut visitor = stage.visitor("t", "k").await;
    for payload in [r#"{"session_id":7}"#, r#"{"session_key":"k"}"#, r#"{"session_id":"k"}"#] {
        stage.accept(vec![event("chat.message", payload)]).await.expect(payload);
        assert_eq!(visitor.types(1).await, ["chat.message"], "{payload}");
    }
    stage.accept(vec![event("chat.message", "{}").in_session(key("7"))]).await.expect("named beside the payload");
    assert_eq!(visitor.next().await.expect("connected")["payload"]["session_id"], 7);
    stage.accept(vec![event("chat.session.ended", r#"{"session_id":7}"#)]).await.expect("ended");
    assert_eq!(visitor.types(1).await, ["chat.session.ended"]);
    assert_eq!(visitor.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_sees_its_own_starts_and_ends() {
    let stage = Stage::new().await;
    let batch = vec![
        event("chat.session.started", r#"{"session_id":7,"session_key":"k"}"#),
        event("chat.session.ended", r#"{"session_id":7}"#),
        event("chat.message", r#"{"session_id":7}"#),
    ];
    stage.accept(batch).await.expect("accepted");
    let calls = stage.script.take_calls();
    assert_eq!(calls[..2], ["chat.start k", "chat.end k"]);
    assert_eq!(stage.hub().sessions().find_known(&key("k")), None);
    let restart = vec![
        event("chat.session.started", r#"{"session_id":"s"}"#),
        event("chat.session.ended", r#"{"session_id":"s"}"#),
        event("chat.session.started", r#"{"session_id":"s"}"#),
    ];
    stage.accept(restart).await.expect("accepted");
    assert!(stage.hub().sessions().find_known(&key("s")).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_names_nothing_is_an_event_like_any_other() {
    let stage = Stage::new().await;
    let batch = vec![event("chat.session.started", "{}"), event("chat.session.ended", r#"{"session_id":"unknown"}"#)];
    stage.accept(batch).await.expect("payloads are not validated");
    assert_eq!(stage.script.take_calls(), ["live chat.session.started", "live chat.session.ended"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_told_to_one_absent_agent_still_disconnects_the_visitor() {
    let stage = Stage::new().await;
    stage.accept(vec![event("chat.session.started", r#"{"session_id":"s"}"#)]).await.expect("accepted");
    let mut visitor = stage.visitor("t", "s").await;
    let end = event("chat.session.ended", r#"{"session_id":"s"}"#).to_user(UserId::from(7));
    stage.accept(vec![end]).await.expect("accepted");
    assert_eq!(visitor.next().await, None, "closed without being told what is the agent's alone");
    assert_eq!(stage.agent("t", 7).await.types(1).await, ["chat.session.ended"]);
}

/// Clients name their session by key and id side by side, and ids are used again.
#[tokio::test(flavor = "multi_thread")]
async fn what_names_a_former_session_by_its_key_does_not_reach_the_one_that_has_its_id_now() {
    let stage = Stage::new().await;
    let named = |kind: &str, key: &str, body: &str| {
        event(kind, &format!(r#"{{"session_key":"{key}","session_id":88,"body":"{body}"}}"#))
    };
    stage.accept(vec![named("chat.session.started", "k-old", "")]).await.expect("accepted");
    stage.accept(vec![named("chat.session.ended", "k-old", "")]).await.expect("accepted");
    stage.accept(vec![named("chat.session.started", "k-new", "")]).await.expect("accepted");
    let mut visitor = stage.visitor("t", "k-new").await;
    stage.accept(vec![named("chat.message", "k-old", "not yours")]).await.expect("accepted");
    stage.accept(vec![named("chat.session.ended", "k-old", "again")]).await.expect("accepted");
    stage.accept(vec![named("chat.message", "k-new", "yours")]).await.expect("accepted");
    assert_eq!(visitor.next().await.expect("still connected")["payload"]["body"], "yours");
    // The same within one batch, where the changes are not carried out yet.
    let batch = vec![
        named("chat.session.ended", "k-new", "last"),
        named("chat.session.started", "k-newer", ""),
        named("chat.message", "k-new", "of nobody"),
        named("chat.session.ended", "k-new", "again"),
        event("chat.message", r#"{"session_id":88,"body":"of the newer"}"#),
    ];
    stage.accept(batch).await.expect("accepted");
    assert_eq!(visitor.next().await.expect("still connected")["payload"]["body"], "last");
    assert_eq!(visitor.next().await, None, "closed with its own end");
    assert!(stage.hub().sessions().find_known(&key("k-newer")).is_some());
    assert_eq!(stage.hub().sessions().resolve_known(&tenant("t"), &key("88")), Some(key("k-newer")));
}

/// Only the store that all nodes share knows every session.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_that_nobody_can_look_up_is_refused() {
    let stage = Stage::new().await;
    stage.script.share();
    let start = |id: &str| event("chat.session.started", &format!(r#"{{"session_id":"{id}"}}"#));
    let end = |id: &str| event("chat.session.ended", &format!(r#"{{"session_id":"{id}"}}"#));
    stage.accept(vec![start("known")]).await.expect("accepted");
    stage.script.fail("chat.find");
    stage.script.fail("chat.find_alias");
    stage.script.take_calls();
    let error = stage.accept(vec![event("alert", "{}"), end("elsewhere")]).await.expect_err("nobody can tell");
    assert_eq!((error.index(), error.code()), (Some(1), ErrorCode::StorageUnavailable));
    assert_ne!(error.retry(), Retry::Never);
    assert!(!stage.script.has_call("live"), "and nothing is published");
    stage.accept(vec![end("known")]).await.expect("this node knows which");
    assert_eq!(stage.hub().sessions().find_known(&key("known")), None);
    stage.accept(vec![start("new"), end("new"), end("new")]).await.expect("the batch says which");
    stage.accept(vec![event("chat.message", r#"{"session_id":"elsewhere"}"#)]).await.expect("agents here get it");
    stage.script.heal("chat.find");
    stage.script.heal("chat.find_alias");
    stage.accept(vec![end("elsewhere")]).await.expect("there is none");
}
