//! Batches with more deliveries than go into one transaction, and what waits for the store beside others.

use std::time::Duration;

use hookswitch_hub::HubConfig;
use hookswitch_protocol::{ErrorCode, NewEvent};
use hookswitch_switch::{AcceptError, SwitchConfig};

use crate::stage::{Stage, event, key, tenant, until, with_id};

/// So many events with ids `e0`, `e1`, …
fn batch(n_events: usize) -> Vec<NewEvent> {
    (0..n_events).map(|n| with_id(&format!("e{n}"), event("alert", &format!(r#"{{"n":{n}}}"#)))).collect()
}

fn enqueued(stage: &Stage) -> Vec<(usize, usize)> {
    let sizes = |call: &String| {
        let (events, deliveries) = call.strip_prefix("ledger.enqueue ")?.split_once(" to ")?;
        Some((events.parse().expect("a number"), deliveries.parse().expect("a number")))
    };
    stage.script.take_calls().iter().filter_map(sizes).collect()
}

async fn with_webhooks(n: usize) -> Stage {
    let stage = Stage::new().await;
    for _ in 0..n {
        stage.webhook(&["*"]).await;
    }
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_events_for_one_webhook_are_one_transaction() {
    let stage = with_webhooks(1).await;
    assert_eq!(stage.accept(batch(1_000)).await.expect("accepted").len(), 1_000);
    assert_eq!(enqueued(&stage), [(1_000, 1_000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_for_many_webhooks_are_stored_in_steps_and_accepted_at_their_end() {
    let stage = with_webhooks(100).await;
    let mut anna = stage.agent("t", 1).await;
    assert_eq!(stage.accept(batch(25)).await.expect("accepted").len(), 25);
    let steps = enqueued(&stage);
    assert_eq!(steps.iter().map(|(n_events, _)| n_events).sum::<usize>(), 25);
    assert!(steps.len() == 13 && steps.iter().all(|(_, n_deliveries)| *n_deliveries <= 250), "{steps:?}");
    assert_eq!(anna.types(25).await, vec!["alert"; 25]);
    assert_eq!(stage.switch.metrics().deliveries.get(), 2_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_for_more_webhooks_than_a_step_holds_stays_whole() {
    let stage = with_webhooks(300).await;
    stage.accept(batch(4)).await.expect("accepted");
    assert_eq!(enqueued(&stage), [(1, 300); 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_when_the_store_fails_in_the_middle_is_accepted_and_the_rest_is_not() {
    let stage = with_webhooks(100).await;
    let mut anna = stage.agent("t", 1).await;
    let events = || {
        let mut events = batch(20);
        events[1] = with_id("first", event("chat.session.started", r#"{"session_id":"first"}"#));
        events[12] = with_id("last", event("chat.session.started", r#"{"session_id":"last"}"#));
        events
    };
    stage.script.fail_after("ledger.enqueue", 3);
    let error = stage.accept(events()).await.expect_err("the fourth step fails");
    assert!(matches!(error, AcceptError::Partly { n_stored: 6, n_events: 20, .. }), "{error:?}");
    assert_eq!(error.code(), ErrorCode::StorageUnavailable);
    assert!(error.to_string().contains("first 6 of 20"), "{error}");
    let sessions = stage.hub().sessions();
    assert!(sessions.find_known(&key("first")).is_some(), "accepted as a whole");
    assert!(sessions.find_known(&key("last")).is_none(), "refused as a whole");
    let types = ["alert", "chat.session.started", "alert", "alert", "alert", "alert"];
    assert_eq!(anna.types(6).await, types, "they are live");
    assert_eq!(stage.switch.metrics().accepted.get(), 6);
    // The same again does the rest, and nothing twice.
    stage.script.heal("ledger.enqueue");
    stage.script.take_calls();
    stage.accept(events()).await.expect("accepted");
    assert_eq!(enqueued(&stage).iter().map(|(n_events, _)| n_events).sum::<usize>(), 14);
    assert_eq!((stage.switch.metrics().accepted.get(), stage.switch.metrics().repeated.get()), (20, 6));
    assert!(sessions.find_known(&key("last")).is_some());
    assert_eq!(anna.types(14).await.len(), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tenant_s_live_events_pass_while_the_database_hangs() {
    // All of a tenant's room in the hub is one batch.
    let hub = HubConfig { mailbox_events: 1_000, publish_deadline: Duration::from_millis(20), ..HubConfig::default() };
    let stage = Stage::with(hub, SwitchConfig::default()).await;
    stage.webhook(&["call.ended"]).await;
    let mut anna = stage.agent("t", 1).await;
    for call in ["ledger.look_up", "ledger.enqueue"] {
        stage.script.hold(call);
        stage.script.take_calls();
        let ended = (0..1_000).map(|n| with_id(&format!("{call}{n}"), event("call.ended", "{}"))).collect();
        let (waiting, ()) = tokio::join!(stage.accept(ended), async {
            until("the batch waits for the store", || stage.script.has_call(call)).await;
            for _ in 0..10 {
                stage.accept(vec![event("alert", "{}")]).await.expect("needs no store");
            }
            assert_eq!(anna.types(10).await, ["alert"; 10]);
            stage.script.release(call);
        });
        waiting.expect("accepted at last");
        assert_eq!(anna.types(1_000).await.len(), 1_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_waits_for_room_in_the_hub_as_long_as_it_takes() {
    let hub = HubConfig { mailbox_events: 1_000, publish_deadline: Duration::from_millis(5), ..HubConfig::default() };
    let stage = Stage::with(hub, SwitchConfig::default()).await;
    stage.webhook(&["*"]).await;
    stage.script.hold("ledger.enqueue");
    let accepted = tokio::join!(stage.accept(batch(1)), async {
        until("it is being stored", || stage.script.has_call("ledger.enqueue")).await;
        let all_room = stage.hub().reserve(&tenant("t"), 1_000).await.expect("not held meanwhile");
        stage.script.release("ledger.enqueue");
        // Longer than a publisher waits for room: nothing may be refused in that time.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(stage.hub().metrics().publish_refused.get(), 0);
        drop(all_room);
    });
    assert_eq!(accepted.0.expect("never refused").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_has_room_for_the_store_while_one_tenant_fills_it() {
    let config = SwitchConfig { store_events: 2_000, store_wait: Duration::from_millis(50), ..SwitchConfig::default() };
    let stage = Stage::with(HubConfig::default(), config).await;
    stage.script.hold("ledger.look_up");
    let neighbour = tenant("neighbour");
    let (first, ()) = tokio::join!(stage.accept(batch(1_000)), async {
        until("one waits for the store", || stage.script.has_call("ledger.look_up")).await;
        let second = (0..1_000).map(|n| with_id(&format!("x{n}"), event("alert", "{}"))).collect();
        let refused = stage.accept(second).await.expect_err("more than half");
        assert_eq!(refused.code(), ErrorCode::Overloaded);
        let (beside, ()) = tokio::join!(stage.switch.accept(&neighbour, batch(500)), async {
            until("the neighbour is at the store", || stage.script.has_call("ledger.look_up 500")).await;
            stage.script.release("ledger.look_up");
        });
        assert_eq!(beside.expect("has room").len(), 500);
    });
    assert_eq!(first.expect("was first").len(), 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_events_pass_the_largest_batches_of_many_tenants() {
    let stage = Stage::new().await;
    stage.script.hold("ledger.look_up 1000");
    let large = |number: usize| {
        let (switch, of) = (stage.switch.clone(), tenant(&format!("large-{number}")));
        async move { switch.accept(&of, batch(1_000)).await }
    };
    let all = futures_util::future::join_all((0..6).map(large));
    let beside = async {
        until("the largest are at the store", || stage.script.n_calls("ledger.look_up 1000") == 3).await;
        for number in 0..20 {
            let neighbour = tenant(&format!("neighbour-{number}"));
            stage.switch.accept(&neighbour, batch(1)).await.expect("at once");
        }
        assert_eq!(stage.script.n_calls("ledger.look_up 1000"), 3, "the others wait");
        stage.script.release("ledger.look_up 1000");
    };
    let (accepted, ()) = tokio::join!(all, beside);
    assert!(accepted.iter().all(Result::is_ok), "{accepted:?}");
}
