//! Ids chosen by the publisher: one effect, however often they come.

use std::collections::HashSet;

use hookswitch_protocol::{ErrorCode, EventId, UserId};

use crate::stage::{Stage, event, tenant, with_id};

fn count(calls: &[String], start: &str) -> usize {
    calls.iter().filter(|call| call.starts_with(start)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_has_no_second_effect() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    let batch = || {
        vec![
            with_id("a", event("alert", r#"{"x":1}"#)),
            with_id("b", event("notification", "{}").to_user(UserId::from(9))),
            with_id("c", event("chat.session.started", r#"{"session_id":"s"}"#)),
        ]
    };
    let first = stage.accept(batch()).await.expect("accepted");
    stage.script.take_calls();
    let again = stage.accept(batch()).await.expect("accepted");
    assert_eq!(first, again);
    assert_eq!(stage.script.take_calls(), ["ledger.look_up 3"]);
    assert_eq!((stage.switch.metrics().accepted.get(), stage.switch.metrics().repeated.get()), (3, 3));
    let waiting = stage.broadcaster.fetch_offline_messages(&crate::stage::user("t", 9), 10).await;
    assert_eq!(waiting.expect("fetched").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_part_of_a_partly_repeated_batch_is_done() {
    let stage = Stage::new().await;
    stage.accept(vec![with_id("a", event("alert", "{}"))]).await.expect("accepted");
    stage.script.take_calls();
    let batch = vec![with_id("a", event("alert", "{}")), with_id("b", event("call.ended", "{}"))];
    let ids = stage.accept(batch).await.expect("accepted");
    assert_eq!(ids.iter().map(EventId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(stage.script.take_calls(), ["ledger.look_up 2", "ledger.enqueue 1 to 0", "live call.ended"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_is_a_conflict_and_another_tenant_is_not() {
    let stage = Stage::new().await;
    stage.accept(vec![with_id("a", event("alert", "{}"))]).await.expect("accepted");
    let other = || vec![event("call.ended", "{}"), with_id("a", event("alert", r#"{"x":1}"#))];
    let error = stage.accept(other()).await.expect_err("conflict");
    assert_eq!((error.index(), error.field(), error.code()), (Some(1), Some("id"), ErrorCode::Conflict));
    stage.switch.accept(&tenant("other"), other()).await.expect("ids are per tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_twice_in_one_batch_is_one_event() {
    let stage = Stage::new().await;
    let twice = vec![with_id("a", event("alert", "{}")), event("call.ended", "{}"), with_id("a", event("alert", "{}"))];
    let ids = stage.accept(twice).await.expect("accepted");
    assert_eq!((ids.len(), &ids[0]), (3, &ids[2]));
    let calls = stage.script.take_calls();
    assert_eq!((count(&calls, "live alert"), count(&calls, "live call.ended")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_exactly_one_has_an_effect() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    let mut publishers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let switch = stage.switch.clone();
        publishers.spawn(async move {
            // Two ids in either order: neither may wait for the other for ever.
            let batch = vec![with_id("a", event("alert", "{}")), with_id("b", event("alert", "{}"))];
            switch
                .accept(&tenant("t"), batch.clone())
                .await
                .and(switch.accept(&tenant("t"), batch.into_iter().rev().collect()).await)
        });
    }
    while let Some(published) = publishers.join_next().await {
        published.expect("no panic").expect("accepted");
    }
    let calls = stage.script.take_calls();
    assert_eq!((count(&calls, "ledger.enqueue"), count(&calls, "live")), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_contents_under_one_id_one_wins_and_the_rest_are_told() {
    let stage = Stage::new().await;
    let mut publishers = tokio::task::JoinSet::new();
    for number in 0..32 {
        let switch = stage.switch.clone();
        publishers.spawn(async move {
            let batch = vec![with_id("a", event("alert", &format!(r#"{{"n":{number}}}"#)))];
            switch.accept(&tenant("t"), batch).await.map_err(|error| error.code())
        });
    }
    let results = publishers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let refusals: HashSet<_> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(refusals, HashSet::from([ErrorCode::Conflict]));
    assert_eq!(count(&stage.script.take_calls(), "live"), 1);
}
