//! Who gets which event: subscriptions, patterns, targets, topics, tenants.

use hookswitch_protocol::limits;

use crate::rig::{Rig, event, in_session, name, to_user, topic};

/// What a connection of user 7 says before the events come.
struct Case {
    says: &'static [(&'static str, &'static [&'static str])],
    gets: &'static [&'static str],
}

/// Publishes one of everything and compares what arrives.
async fn check(case: Case) {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    for (command, names) in case.says {
        match *command {
            "subscribe" => client.subscribe(names).await,
            _ => client.unsubscribe(names).await,
        }
    }
    let mine = |kind, id| to_user(event("t", kind, id), 7);
    rig.publish([
        event("t", "call.incoming", "call.incoming"),
        event("t", "call.ended", "call.ended"),
        event("t", "callback.due", "callback.due"),
        event("t", "survey.completed", "survey.completed"),
        event("t", "presence.changed", "presence.changed"),
        in_session(event("t", "chat.message", "chat.message"), "s1"),
        mine("call.incoming", "my-call"),
        mine("notification", "my-notification"),
        mine("presence.changed", "my-presence"),
        to_user(event("t", "call.incoming", "anothers-call"), 8),
        topic(event("t", "call.incoming", "topic-call"), "wallboard"),
        topic(mine("call.incoming", "my-topic-call"), "wallboard"),
        event("u", "call.incoming", "anothers-tenant"),
    ])
    .await;
    assert_eq!(rig.ids("t", &mut client).await, case.gets, "{:?}", case.says);
}

#[tokio::test]
async fn without_a_subscription_everything_of_the_tenant_arrives_but_what_must_be_asked_for() {
    let gets = &[
        "call.incoming",
        "call.ended",
        "callback.due",
        "survey.completed",
        "chat.message",
        "my-call",
        "my-notification",
    ];
    check(Case { says: &[], gets }).await;
    check(Case { says: &[("unsubscribe", &["call.incoming", "call.*"])], gets }).await;
}

#[tokio::test]
async fn a_subscription_lets_only_its_types_through_targeted_ones_too() {
    let gets = &["call.incoming", "my-call"];
    check(Case { says: &[("subscribe", &["call.incoming"])], gets }).await;
    check(Case { says: &[("subscribe", &["call.incoming", "call.incoming"])], gets }).await;
    check(Case { says: &[("subscribe", &["agent.login"])], gets: &[] }).await;
}

#[tokio::test]
async fn subscribing_adds_and_a_pattern_means_every_type_with_that_prefix() {
    let gets = &["call.incoming", "call.ended", "my-call", "my-notification"];
    check(Case { says: &[("subscribe", &["call.*"]), ("subscribe", &["notification"])], gets }).await;
    let gets = &["callback.due", "survey.completed"];
    check(Case { says: &[("subscribe", &["callback.*", "survey.completed"])], gets }).await;
}

#[tokio::test]
async fn an_event_that_two_names_mean_arrives_once() {
    let gets = &["call.incoming", "call.ended", "my-call"];
    check(Case { says: &[("subscribe", &["call.*", "call.incoming"])], gets }).await;
    check(Case {
        says: &[("subscribe", &["call.*", "call.incoming"]), ("unsubscribe", &["call.*"])],
        gets: &["call.incoming", "my-call"],
    })
    .await;
    check(Case {
        says: &[("subscribe", &["call.*", "call.incoming"]), ("unsubscribe", &["call.incoming"])],
        gets: &["call.incoming", "call.ended", "my-call"],
    })
    .await;
}

#[tokio::test]
async fn after_the_last_unsubscribe_nothing_arrives() {
    check(Case { says: &[("subscribe", &["call.*"]), ("unsubscribe", &["call.*", "alert"])], gets: &[] }).await;
    check(Case {
        says: &[("subscribe", &["call.*"]), ("unsubscribe", &["call.*"]), ("subscribe", &["notification"])],
        gets: &["my-notification"],
    })
    .await;
    // A pattern is one name: its members are not taken out of it.
    check(Case {
        says: &[("subscribe", &["call.*"]), ("unsubscribe", &["call.incoming"])],
        gets: &["call.incoming", "call.ended", "my-call"],
    })
    .await;
}

#[tokio::test]
async fn our_own_types_must_be_asked_for() {
    let gets = &["presence.changed", "my-presence"];
    check(Case { says: &[("subscribe", &["presence.changed"])], gets }).await;
    check(Case { says: &[("subscribe", &["presence.*"])], gets }).await;
}

#[tokio::test]
async fn a_topics_event_goes_to_who_named_the_topic_and_to_no_others() {
    check(Case { says: &[("subscribe", &["wallboard"])], gets: &["topic-call", "my-topic-call"] }).await;
    check(Case { says: &[("subscribe", &["wall.*", "*"]), ("unsubscribe", &["*"])], gets: &[] }).await;
}

#[tokio::test]
async fn more_names_than_allowed_leave_the_subscription_as_it_was() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    client.subscribe(&["call.incoming"]).await;
    let many: Vec<_> = (0..limits::SUBSCRIPTION_NAMES).map(|n| name(&format!("own.type-{n}"))).collect();
    let refused = client.call(move |line| line.subscribe(&many)).await.expect_err("one too many");
    assert_eq!((refused.n_names, refused.limit), (257, 256));
    rig.publish([event("t", "own.type-0", "own"), event("t", "call.incoming", "call")]).await;
    assert_eq!(rig.ids("t", &mut client).await, ["call"]);

    let just_enough: Vec<_> = (1..limits::SUBSCRIPTION_NAMES).map(|n| name(&format!("own.type-{n}"))).collect();
    client.call(move |line| line.subscribe(&just_enough)).await.expect("256 in all");
    rig.publish([event("t", "own.type-255", "own"), event("t", "call.incoming", "call")]).await;
    assert_eq!(rig.ids("t", &mut client).await, ["own", "call"]);
}

#[tokio::test]
async fn a_users_event_reaches_all_connections_of_that_user_of_that_tenant_only() {
    let rig = Rig::new().await;
    let mut phone = rig.user("t", 7).await;
    let mut desktop = rig.user("t", 7).await;
    let mut colleague = rig.user("t", 8).await;
    let mut namesake = rig.user("u", 7).await;
    rig.publish([to_user(event("t", "notification", "mine"), 7)]).await;
    assert_eq!(rig.ids("t", &mut phone).await, ["mine"]);
    assert_eq!(rig.ids("t", &mut desktop).await, ["mine"]);
    assert_eq!(rig.ids("t", &mut colleague).await, [""; 0]);
    assert_eq!(rig.ids("u", &mut namesake).await, [""; 0]);
}

#[tokio::test]
async fn commands_of_one_connection_take_effect_in_order() {
    let rig = Rig::new().await;
    let mut client = rig.user("t", 7).await;
    client.subscribe(&["alert"]).await;
    client.answer("after-subscribe").await;
    // The answer proves that the subscription is in force.
    rig.publish([event("t", "call.incoming", "call"), event("t", "alert", "alert")]).await;
    assert_eq!(rig.ids("t", &mut client).await, ["after-subscribe", "alert"]);
}

#[tokio::test]
async fn a_relayed_event_does_not_come_back_to_its_sender() {
    let rig = Rig::new().await;
    let mut agent = rig.user("t", 7).await;
    let mut colleague = rig.user("t", 8).await;
    let mut visitor = rig.visitor("t", "s1").await;
    let typing = |id| std::sync::Arc::new(in_session(event("t", "chat.typing", id), "s1"));
    rig.hub.relay(typing("by-agent"), Some(agent.id)).await.expect("there is room");
    rig.hub.relay(typing("by-visitor"), Some(visitor.id)).await.expect("there is room");
    assert_eq!(rig.ids("t", &mut agent).await, ["by-visitor"]);
    assert_eq!(rig.ids("t", &mut colleague).await, ["by-agent", "by-visitor"]);
    assert_eq!(rig.ids("t", &mut visitor).await, ["by-agent"]);
}

#[tokio::test]
async fn what_is_for_administrators_reaches_those_of_the_tenant_that_asked_for_it() {
    let rig = Rig::new().await;
    let mut asked = rig.admin("t", 1).await;
    asked.subscribe(&["webhook.*", "alert"]).await;
    let mut silent = rig.admin("t", 2).await;
    let mut agent = rig.user("t", 3).await;
    agent.subscribe(&["webhook.disabled", "*"]).await;
    let mut foreign = rig.admin("other", 4).await;
    foreign.subscribe(&["webhook.disabled"]).await;
    rig.publish([event("t", "webhook.disabled", "secret"), event("t", "alert", "end")]).await;
    rig.publish([event("other", "webhook.disabled", "theirs")]).await;
    assert_eq!(asked.until("end").await, ["secret", "end"]);
    assert_eq!(silent.until("end").await, ["end"]);
    assert_eq!(agent.until("end").await, ["end"]);
    assert_eq!(foreign.until("theirs").await, ["theirs"]);
}
