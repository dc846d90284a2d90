//! Clients that come back and say where they were.

use hookswitch_hub::{HistoryLimits, HubConfig, ResumeFrom, Subject};
use hookswitch_protocol::Position;

use crate::backlog::{keep, page};
use crate::rig::{Client, Rig, config, event, in_session, key, to_user, topic};

fn ids(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{prefix}{n}")).collect()
}

async fn publish(rig: &Rig, ids: &[String]) {
    rig.publish(ids.iter().map(|id| event("t", "alert", id))).await;
}

fn anna() -> Subject {
    Subject::User(7.into())
}

async fn back(rig: &Rig, position: Option<Position>) -> Client {
    rig.resuming("t", anna(), ResumeFrom::After(position)).await
}

#[tokio::test]
async fn what_was_missed_comes_then_the_word_then_what_is_new() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("a", 0..3)).await;
    assert_eq!(rig.ids("t", &mut client).await, ids("a", 0..3));
    let position = client.position;
    client.leave().await;
    publish(&rig, &ids("b", 0..200)).await;
    rig.publish([to_user(event("t", "alert", "anothers"), 8), topic(event("t", "x", "on-wall"), "wall")]).await;
    let mut client = back(&rig, position).await;
    publish(&rig, &ids("c", 0..2)).await;
    let mut got = client.until("c1").await;
    // It came while this was under way: before or after the word, and never twice.
    let word = got.iter().position(|id| id.starts_with("resumed")).expect("it is told");
    assert!(got.remove(word).starts_with("resumed recovered"));
    assert_eq!(got, [ids("b", 0..200), ids("c", 0..2)].concat());
    assert!(word >= 200);
}

#[tokio::test]
async fn at_the_head_nothing_was_missed() {
    let rig =
        Rig::with(HubConfig { history: HistoryLimits { events: 1, ..HistoryLimits::default() }, ..config() }).await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("a", 0..3)).await;
    client.until("a2").await;
    let head = client.position;
    let mut again = back(&rig, head).await;
    assert_eq!(again.until("resumed recovered 0").await, ["resumed recovered 0"]);
    assert_eq!(again.position, head);
}

#[tokio::test]
async fn who_comes_for_the_first_time_is_told_where_it_begins() {
    let rig = Rig::new().await;
    publish(&rig, &ids("a", 0..3)).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.resuming("t", anna(), ResumeFrom::Here).await;
    let (got, _ping) = page(&mut client).await;
    assert_eq!(got, ["m0"], "the word, which is no event, and then what was kept");
    let began = client.position;
    publish(&rig, &ids("b", 0..2)).await;
    let mut again = back(&rig, began).await;
    assert_eq!(again.until("resumed recovered 2").await, ["b0", "b1", "resumed recovered 2"]);
}

#[tokio::test]
async fn what_cannot_be_given_is_said_with_its_reason() {
    let rig =
        Rig::with(HubConfig { history: HistoryLimits { events: 2, ..HistoryLimits::default() }, ..config() }).await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("a", 0..1)).await;
    client.until("a0").await;
    let position = client.position.expect("events have positions");
    publish(&rig, &ids("b", 0..3)).await;
    client.until("b2").await;
    let head = client.position.expect("events have positions");
    let beyond = Position { offset: head.offset + 1_000, ..head };
    let other = Position { epoch: 1, ..head };
    let asked = [(Some(position), "expired"), (Some(other), "epoch"), (Some(beyond), "epoch"), (None, "epoch")];
    for (n, (asked, reason)) in asked.into_iter().enumerate() {
        let mut again = back(&rig, asked).await;
        let (word, after) = (format!("resumed {reason} 0"), format!("after-{n}"));
        rig.publish([to_user(event("t", "alert", &after), 7)]).await;
        assert_eq!(again.until(&after).await, [word, after.clone()], "nothing in part, and then what is new");
    }
}

#[tokio::test]
async fn a_position_says_nothing_to_another_tenant() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("a", 0..2)).await;
    client.until("a1").await;
    rig.publish([event("u", "alert", "x"), event("u", "alert", "y")]).await;
    let mut other = rig.resuming("u", anna(), ResumeFrom::After(client.position)).await;
    assert_eq!(other.until("resumed epoch 0").await, ["resumed epoch 0"]);
}

#[tokio::test]
async fn kept_messages_come_first_and_not_again() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("a", 0..1)).await;
    client.until("a0").await;
    let position = client.position;
    client.leave().await;
    rig.until("it is gone", |hub| hub.n_connections() == 0).await;
    // It met nobody, and was kept then: so it is in history and in the store.
    rig.publish([to_user(event("t", "notification", "m0"), 7)]).await;
    keep(&rig, &ids("m", 0..1)).await;
    publish(&rig, &ids("b", 0..2)).await;
    let mut client = back(&rig, position).await;
    let (got, ping) = page(&mut client).await;
    assert_eq!(got, ["m0"], "all else waits behind it");
    client.pong(&ping).await;
    assert_eq!(client.until("resumed recovered 2").await, ["b0", "b1", "resumed recovered 2"]);
}

#[tokio::test]
async fn a_command_replays_up_to_what_was_sent_already() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("a", 0..2)).await;
    client.until("a1").await;
    let position = client.position;
    client.leave().await;
    publish(&rig, &ids("b", 0..3)).await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("c", 0..2)).await;
    assert_eq!(client.until("c1").await, ids("c", 0..2));
    assert!(client.call(move |handle| handle.resume(position)).await);
    publish(&rig, &ids("d", 0..2)).await;
    let got = client.until("d1").await;
    assert_eq!(got, [ids("b", 0..3), vec!["resumed recovered 3".to_owned()], ids("d", 0..2)].concat());
    assert!(!client.call(move |handle| handle.resume(position)).await, "once");
}

#[tokio::test]
async fn who_announces_it_is_given_nothing_before_it_has_said_where_it_was() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("a", 0..2)).await;
    client.until("a1").await;
    let position = client.position;
    publish(&rig, &ids("b", 0..1)).await;
    let mut later = rig.resuming("t", anna(), ResumeFrom::Later).await;
    publish(&rig, &ids("c", 0..1)).await;
    assert_eq!(rig.ids("t", &mut later).await, [""; 0]);
    later.answer("pong").await;
    assert_eq!(later.until("pong").await, ["pong"], "but answers");
    assert_eq!(later.call(hookswitch_hub::ConnectionHandle::served).await, None, "it keeps the position that it has");
    assert!(later.call(move |handle| handle.resume(position)).await);
    // A fence of this test is among them.
    assert_eq!(later.until("resumed recovered 3").await, ["b0", "c0", "fence-0", "resumed recovered 3"]);

    let mut silent = rig.resuming("t", anna(), ResumeFrom::Later).await;
    publish(&rig, &ids("d", 0..1)).await;
    assert!(silent.call(hookswitch_hub::ConnectionHandle::spoke).await, "it says something else");
    assert_eq!(silent.until("d0").await, ["d0"]);
    assert!(!silent.call(move |handle| handle.resume(position)).await, "too late");
}

#[tokio::test]
async fn an_answer_says_up_to_where_everything_was_given_whatever_is_subscribed() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    client.subscribe(&["call.*"]).await;
    publish(&rig, &ids("a", 0..40)).await;
    rig.settle("t").await;
    let served = client.call(hookswitch_hub::ConnectionHandle::served).await;
    assert!(client.ids().is_empty());
    publish(&rig, &ids("b", 0..1)).await;
    let mut again = back(&rig, served).await;
    assert_eq!(again.until("resumed recovered 1").await, ["b0", "resumed recovered 1"], "the forty are behind it");
}

#[tokio::test]
async fn a_visitors_replay_begins_with_its_session() {
    let rig = Rig::new().await;
    let say = |kind, id| in_session(event("t", kind, id), "s1");
    rig.publish([event("t", "alert", "before")]).await;
    let mut observer = rig.user("t", 9).await;
    rig.publish([event("t", "alert", "seen")]).await;
    observer.until("seen").await;
    let position = observer.position;
    rig.publish([say("chat.message", "of-the-former")]).await;
    rig.publish([say("chat.session.ended", "end")]).await;
    rig.publish([say("chat.session.started", "start"), say("chat.message", "hello")]).await;
    rig.publish([in_session(event("t", "chat.message", "anothers"), "s2")]).await;
    let mut visitor = rig.resuming("t", Subject::Visitor(key("s1")), ResumeFrom::After(position)).await;
    assert_eq!(visitor.until("resumed recovered 2").await, ["start", "hello", "resumed recovered 2"]);
}

#[tokio::test]
async fn a_position_is_never_beyond_what_is_still_owed() {
    let rig = Rig::new().await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("before", 0..1)).await;
    page(&mut client).await;
    rig.publish([to_user(event("t", "alert", "mine"), 7)]).await;
    publish(&rig, &ids("behind", 0..1)).await;
    rig.settle("t").await;
    let position = client.position;
    client.leave().await;
    rig.until("it is given back", |hub| hub.metrics().offline_given_back.get() == 1).await;
    let mut client = back(&rig, position).await;
    let (got, ping) = page(&mut client).await;
    assert_eq!(got, ["m0"], "it was not proven");
    client.pong(&ping).await;
    let mut got = client.until("behind0").await;
    got.retain(|id| !id.starts_with("fence-"));
    assert_eq!(got[..2], ["mine", "behind0"]);
}

#[tokio::test]
async fn kept_messages_wait_for_the_clients_word_too() {
    let rig = Rig::new().await;
    let mut reader = rig.user("t", 8).await;
    publish(&rig, &ids("a", 0..1)).await;
    reader.until("a0").await;
    let position = reader.position;
    publish(&rig, &ids("b", 0..1)).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut later = rig.resuming("t", anna(), ResumeFrom::Later).await;
    assert_eq!(rig.ids("t", &mut later).await, [""; 0]);
    assert!(later.call(move |handle| handle.resume(position)).await);
    let (got, ping) = page(&mut later).await;
    assert_eq!(got, ["m0"]);
    later.pong(&ping).await;
    assert_eq!(later.until("resumed recovered 2").await, ["b0", "fence-0", "resumed recovered 2"]);
}
