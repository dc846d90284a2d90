//! What visitors get, and when they are sent away.

use crate::rig::{Rig, event, in_session, to_user, topic};
use hookswitch_protocol::CloseCode;

async fn publish_all(rig: &Rig) {
    rig.publish([
        in_session(event("t", "chat.message", "own-message"), "s1"),
        in_session(event("t", "chat.typing", "own-typing"), "s1"),
        in_session(event("t", "chat.message", "others-message"), "s2"),
        event("t", "chat.message", "message-without-session"),
        // Not chat.*, whatever session they name.
        in_session(event("t", "call.incoming", "call"), "s1"),
        in_session(event("t", "chatter.message", "chatter"), "s1"),
        event("t", "alert", "alert"),
        // For one agent, for a topic, for another tenant.
        to_user(in_session(event("t", "chat.message", "for-agent"), "s1"), 7),
        topic(in_session(event("t", "chat.message", "for-topic"), "s1"), "wallboard"),
    ])
    .await;
    rig.publish([in_session(event("u", "chat.message", "other-tenants"), "s1")]).await;
}

#[tokio::test]
async fn a_visitor_gets_the_chat_events_of_its_own_session_only() {
    let rig = Rig::new().await;
    let mut visitor = rig.visitor("t", "s1").await;
    publish_all(&rig).await;
    assert_eq!(rig.ids("t", &mut visitor).await, ["own-message", "own-typing"]);
}

#[tokio::test]
async fn a_visitors_subscription_narrows_and_never_widens() {
    let check = async |names: &[&str], gets: &[&str]| {
        let rig = Rig::new().await;
        let mut visitor = rig.visitor("t", "s1").await;
        visitor.subscribe(names).await;
        publish_all(&rig).await;
        assert_eq!(rig.ids("t", &mut visitor).await, gets, "{names:?}");
    };
    check(&["chat.message"], &["own-message"]).await;
    check(&["chat.*"], &["own-message", "own-typing"]).await;
    check(&["*", "alert", "wallboard", "call.*"], &["own-message", "own-typing"]).await;
    check(&["alert", "wallboard"], &[]).await;
}

#[tokio::test]
async fn the_end_of_a_session_closes_its_visitors_behind_the_event() {
    let rig = Rig::new().await;
    let mut visitor = rig.visitor("t", "s1").await;
    let mut elsewhere = rig.visitor("t", "s2").await;
    let mut namesake = rig.visitor("u", "s1").await;
    let mut agent = rig.user("t", 7).await;
    rig.publish([
        in_session(event("t", "chat.message", "last"), "s1"),
        in_session(event("t", "chat.session.ended", "ended"), "s1"),
        in_session(event("t", "chat.message", "too-late"), "s1"),
    ])
    .await;
    assert_eq!(visitor.until("close 4410").await, ["last", "ended", "close 4410"]);
    visitor.until_wire("the hub lets go", |wire| wire.is_finished).await;
    assert_eq!(rig.ids("t", &mut elsewhere).await, [""; 0]);
    assert_eq!(rig.ids("u", &mut namesake).await, [""; 0]);
    assert_eq!(rig.ids("t", &mut agent).await, ["last", "ended", "too-late"]);
}

#[tokio::test]
async fn visitors_are_sent_away_also_where_they_may_not_see_the_end() {
    let rig = Rig::new().await;
    let mut deaf = rig.visitor("t", "s1").await;
    deaf.subscribe(&["chat.message"]).await;
    rig.publish([in_session(event("t", "chat.session.ended", "ended"), "s1")]).await;
    assert_eq!(deaf.until("close 4410").await, ["close 4410"]);

    let mut visitor = rig.visitor("t", "s2").await;
    rig.publish([to_user(in_session(event("t", "chat.session.ended", "for-agent"), "s2"), 7)]).await;
    assert_eq!(visitor.until("close 4410").await, ["close 4410"]);
    let reason = CloseCode::SessionEnded.reason();
    rig.until("both are counted", |hub| hub.metrics().closed.get(reason) == 2).await;
}
