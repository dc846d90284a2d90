//! Events for users who are away.

use hookswitch_protocol::{NewEvent, Topic, UserId};

use crate::stage::{Stage, event, until, user};

fn note(number: i64) -> NewEvent {
    event("notification", &format!(r#"{{"n":{number}}}"#)).to_user(UserId::from(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_comes_first_and_in_order() {
    let stage = Stage::new().await;
    for number in 0..5 {
        stage.accept(vec![note(number)]).await.expect("accepted");
    }
    stage.accept((5..10).map(note).collect()).await.expect("accepted");
    let mut anna = stage.agent("t", 1).await;
    stage.accept(vec![note(10)]).await.expect("accepted");
    for number in 0..=10 {
        assert_eq!(anna.next().await.expect("connected")["payload"]["n"], number);
    }
    assert_eq!(stage.switch.metrics().kept_offline.get(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_for_who_is_there_or_for_a_topic() {
    let stage = Stage::new().await;
    let (mut phone, mut desktop) = (stage.agent("t", 1).await, stage.agent("t", 1).await);
    stage.accept(vec![note(1)]).await.expect("accepted");
    let topic = Some(Topic::parse("wall").expect("legal"));
    let for_topic = NewEvent { topic, ..event("notification", "{}").to_user(UserId::from(2)) };
    stage.accept(vec![for_topic]).await.expect("accepted");
    assert_eq!(stage.script.take_calls(), ["live notification", "live notification"]);
    assert_eq!(
        (phone.types(1).await, desktop.types(1).await),
        (vec!["notification".to_owned()], vec!["notification".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_a_message_is_kept_gets_it_once() {
    let stage = Stage::new().await;
    stage.script.hold("offline.put");
    let accepting = async {
        stage.accept(vec![note(1)]).await.expect("accepted");
        stage.accept(vec![note(2)]).await.expect("accepted");
    };
    let (mut anna, ()) = tokio::join!(
        async {
            until("the message is being kept", || stage.script.has_call("offline.put")).await;
            let anna = stage.agent("t", 1).await;
            stage.script.release("offline.put");
            anna
        },
        accepting
    );
    stage.accept(vec![note(3)]).await.expect("accepted");
    for number in [1, 2, 3] {
        assert_eq!(anna.next().await.expect("connected")["payload"]["n"], number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_kept_is_refused() {
    let stage = Stage::new().await;
    stage.script.fail("offline.put");
    stage.accept(vec![note(1)]).await.expect_err("the store is away");
    stage.accept(vec![event("alert", "{}")]).await.expect("others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_saved_and_fetched_by_hand() {
    let stage = Stage::new().await;
    let (anna, payload) = (user("t", 1), hookswitch_protocol::Payload::empty());
    let alert = hookswitch_protocol::EventType::ALERT;
    let id = stage.broadcaster.save_offline_message(&anna, alert.clone(), payload.clone()).await.expect("saved");
    let fetched = stage.broadcaster.fetch_offline_messages(&anna, 10).await.expect("fetched");
    assert_eq!(fetched.len(), 1);
    assert!(String::from_utf8_lossy(&fetched[0]).contains(id.as_str()));
    let mut connected = stage.agent("t", 1).await;
    stage.broadcaster.save_offline_message(&anna, alert, payload).await.expect("saved");
    assert_eq!(connected.types(1).await, ["alert"], "brought at once to who is there");
}
