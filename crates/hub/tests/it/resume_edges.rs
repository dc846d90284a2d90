//! Where replay, kept messages and what was sent already meet: nothing comes twice, nothing is left out.

use std::sync::Arc;

use hookswitch_hub::{Attachment, EncodedEvent, HistoryLimits, HubConfig, Publication, ResumeFrom, Subject};
use hookswitch_protocol::{CloseCode, Event, Position};

use crate::backlog::{confirmed, ids, keep, left, page};
use crate::rig::{Client, Rig, ScriptedForm, config, event, name, tenant, to_user, user};

async fn publish(rig: &Rig, ids: &[String]) {
    rig.publish(ids.iter().map(|id| event("t", "alert", id))).await;
}

async fn publish_kept(rig: &Rig, event: Event) {
    let kept = [Publication { event: EncodedEvent::kept(event), holders: Vec::new(), ticket: None }];
    let room = rig.hub.reserve(&tenant("t"), 1).await.expect("there is room");
    assert!(rig.hub.publish(room, &kept).await.is_empty(), "it is with the store already");
}

fn anna() -> Subject {
    Subject::User(7.into())
}

async fn back(rig: &Rig, position: Option<Position>) -> Client {
    rig.resuming("t", anna(), ResumeFrom::After(position)).await
}

/// Where a client is that left behind one event.
async fn left_behind(rig: &Rig) -> Option<Position> {
    let mut client = rig.user("t", 7).await;
    publish(rig, &ids("before", 0..1)).await;
    client.until("before0").await;
    client.leave().await;
    rig.until("it is gone", |hub| hub.n_connections() == 0).await;
    client.position
}

#[tokio::test]
async fn what_is_kept_has_its_place_and_comes_from_the_store_alone() {
    let rig = Rig::new().await;
    let position = left_behind(&rig).await;
    publish(&rig, &ids("a", 0..1)).await;
    publish_kept(&rig, to_user(event("t", "notification", "m0"), 7)).await;
    publish(&rig, &ids("b", 0..1)).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = back(&rig, position).await;
    let (got, ping) = page(&mut client).await;
    assert_eq!(got, ["m0"]);
    client.pong(&ping).await;
    assert_eq!(client.until("resumed recovered 2").await, ["a0", "b0", "resumed recovered 2"]);
    let offset = |position: Option<Position>| position.map(|at| at.offset).expect("events have positions");
    // Changes of presence have theirs, too.
    assert!(offset(client.position) >= offset(position) + 3, "it has its place all the same");
    // One whose user comes as it is published is not given it live, either.
    publish_kept(&rig, to_user(event("t", "notification", "m1"), 7)).await;
    publish(&rig, &ids("c", 0..1)).await;
    assert_eq!(client.until("c0").await, ["c0"]);
}

#[tokio::test]
async fn what_a_replay_gave_is_not_given_again_as_a_kept_message() {
    let rig = Rig::new().await;
    let position = left_behind(&rig).await;
    // It met nobody, and is kept only when its user is back already.
    rig.publish([to_user(event("t", "notification", "m0"), 7)]).await;
    let mut client = back(&rig, position).await;
    assert_eq!(client.until("resumed recovered 1").await, ["m0", "resumed recovered 1"]);
    keep(&rig, &ids("m", 0..2)).await;
    rig.hub.backlog_arrived(&user("t", 7)).taken().await;
    let (got, ping) = page(&mut client).await;
    assert_eq!(got, ["m1"], "the one that did not come");
    client.pong(&ping).await;
    confirmed(&rig, 2).await;
    assert_eq!(left(&rig).await, 0, "neither is kept any longer");
}

#[tokio::test]
async fn who_comes_in_behind_an_event_has_not_met_it() {
    let rig = Rig::with(HubConfig { shards: 1, ..config() }).await;
    let other = rig.user("t", 8).await;
    let leaving = rig.user("t", 7).await;
    leaving.stall_after(0);
    leaving.call(|line| line.close(CloseCode::Normal)).await;
    let hold = other.hold_shard().await;
    let (hub, room) = (rig.hub.clone(), rig.hub.reserve(&tenant("t"), 1).await.expect("room"));
    let sought = [Publication::new(Arc::new(to_user(event("t", "alert", "e"), 7)))];
    let publishing = async { hub.publish(room, &sought).await.len() };
    let coming = async {
        let pending = rig.pending("t", anna()).await;
        rig.open(pending).await
    };
    let letting_go = async { drop(hold) };
    let (n_missed, _client, ()) = tokio::join!(publishing, coming, letting_go);
    assert_eq!(n_missed, 1, "so it is kept, or it would be lost");
}

#[tokio::test]
async fn what_a_changed_subscription_left_out_before_the_resume_comes() {
    let rig = Rig::new().await;
    let position = left_behind(&rig).await;
    publish(&rig, &ids("missed", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    publish(&rig, &ids("live", 0..1)).await;
    client.until("live0").await;
    client.subscribe(&["call.*"]).await;
    rig.publish([event("t", "alert", "left-out"), event("t", "call.incoming", "call")]).await;
    client.until("call").await;
    client.subscribe(&["alert"]).await;
    publish(&rig, &ids("again", 0..1)).await;
    client.until("again0").await;
    assert!(client.call(move |handle| handle.resume(position)).await);
    publish(&rig, &ids("new", 0..1)).await;
    assert_eq!(client.until("new0").await, ["missed0", "resumed recovered 1", "left-out", "new0"]);
}

#[tokio::test]
async fn what_came_for_everybody_while_kept_messages_were_awaited_comes_once() {
    let rig = Rig::new().await;
    let position = left_behind(&rig).await;
    publish(&rig, &ids("missed", 0..1)).await;
    keep(&rig, &ids("m", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    let (_, ping) = page(&mut client).await;
    publish(&rig, &ids("broad", 0..2)).await;
    rig.publish([to_user(event("t", "alert", "mine"), 7), event("t", "alert", "behind")]).await;
    client.until("broad1").await;
    rig.settle("t").await;
    assert!(client.call(move |handle| handle.resume(position)).await);
    client.pong(&ping).await;
    let mut got = client.until("behind").await;
    got.retain(|id| !id.starts_with("fence"));
    assert_eq!(got, ["missed0", "resumed recovered 1", "mine", "behind"]);
}

#[tokio::test]
async fn what_went_ahead_before_the_resume_does_not_come_again() {
    let rig = Rig::new().await;
    let position = left_behind(&rig).await;
    publish(&rig, &ids("missed", 0..1)).await;
    let mut client = rig.user("t", 7).await;
    client.stall_after(0);
    rig.publish([event("t", "agent.status", "first")]).await;
    client.until_wire("it is blocked", |wire| wire.is_blocked).await;
    rig.publish(ids("a", 0..24).iter().map(|id| event("t", "agent.status", id))).await;
    rig.publish([event("t", "call.incoming", "call")]).await;
    rig.settle("t").await;
    let mut got = Vec::new();
    while !got.contains(&"call".to_owned()) {
        client.resume(Some(100)).await;
        got.extend(client.ids());
    }
    assert!(!got.contains(&"a23".to_owned()), "it went ahead: {got:?}");
    assert!(client.call(move |handle| handle.resume(position)).await);
    client.resume(None).await;
    publish(&rig, &ids("new", 0..1)).await;
    got.extend(client.until("new0").await);
    got.retain(|id| !id.starts_with("fence"));
    let replayed = got.iter().position(|id| id == "missed0").expect("it came");
    assert_eq!(got.remove(replayed), "missed0");
    assert_eq!(got.remove(replayed), "resumed recovered 1");
    let call = got.iter().position(|id| id == "call").expect("it came");
    got.remove(call);
    let wanted = ["first"].map(str::to_owned).into_iter().chain(ids("a", 0..24)).chain(["new0".to_owned()]);
    assert_eq!(got, wanted.collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn more_than_history_may_hold_is_too_far() {
    // Each event weighs half a KiB, and those that one must ask for have a quarter for themselves.
    let history = HistoryLimits { bytes: 20_000, ..HistoryLimits::default() };
    let rig = Rig::with(HubConfig { history, ..config() }).await;
    let position = left_behind(&rig).await;
    rig.publish(ids("p", 0..4).iter().map(|id| event("t", "presence.changed", id))).await;
    rig.publish(ids("a", 0..35).iter().map(|id| to_user(event("t", "alert", id), 7))).await;
    let resuming = async |names: &[&str], number: i64| {
        let subscription = Some(names.iter().map(|text| name(text)).collect());
        let who = Attachment::new(tenant("t"), Subject::User(number.into()));
        let who = Attachment { subscription, resume: Some(ResumeFrom::After(position)), ..who };
        let pending = rig.admission.attach(who, &ScriptedForm).await.expect("room");
        rig.open(pending).await
    };
    let mut greedy = resuming(&["alert", "presence.changed"], 7).await;
    assert_eq!(greedy.until("resumed too_far 0").await, ["resumed too_far 0"]);
    assert!(greedy.position.map(|at| at.offset) >= position.map(|at| at.offset + 39), "the newest");
    publish(&rig, &ids("b", 0..1)).await;
    assert_eq!(greedy.until("b0").await, ["b0"]);
    let mut narrow = resuming(&["alert"], 7).await;
    assert_eq!(narrow.until("resumed recovered 36").await.len(), 37, "no more than it may see counts");
    let mut other = resuming(&["alert", "presence.changed"], 8).await;
    assert_eq!(other.until("p3").await[..4], ids("p", 0..4), "nor does what is for others");
}
