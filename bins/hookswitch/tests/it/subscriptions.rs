//! What a connection hears, depending on what it subscribed to.

use hookswitch_testkit::WsClient;
use serde_json::{Value, json};

use crate::stage::{OTHER, Stage, event, event_for, expect_exactly};

async fn publish_each(stage: &Stage, types: &[&str]) {
    let events: Vec<Value> = types.iter().map(|t| event(t)).collect();
    stage.service().publish(json!({"events": events})).await;
}

#[tokio::test]
async fn only_subscribed_types_arrive_and_subscribing_adds() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    agent.subscribe(&["call.incoming"]).await;
    publish_each(&stage, &["call.ended", "alert", "call.incoming"]).await;
    expect_exactly(&mut agent, &["call.incoming"]).await;
    agent.subscribe(&["alert"]).await;
    publish_each(&stage, &["call.ended", "alert", "call.incoming"]).await;
    expect_exactly(&mut agent, &["alert", "call.incoming"]).await;
}

#[tokio::test]
async fn topics_is_another_name_for_events() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    agent.send_json(json!({"type": "subscribe", "payload": {"topics": ["alert"]}})).await;
    agent.expect_silence().await;
    publish_each(&stage, &["call.ended", "alert"]).await;
    expect_exactly(&mut agent, &["alert"]).await;
    agent.send_json(json!({"type": "unsubscribe", "payload": {"topics": ["alert"]}})).await;
    agent.subscribe(&["call.ended"]).await;
    publish_each(&stage, &["alert", "call.ended"]).await;
    expect_exactly(&mut agent, &["call.ended"]).await;
}

#[tokio::test]
async fn a_pattern_means_every_type_with_that_prefix() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    agent.subscribe(&["call.*"]).await;
    let published = ["call.incoming", "callback.made", "queue.left", "call.custom.thing", "call.ended"];
    publish_each(&stage, &published).await;
    expect_exactly(&mut agent, &["call.incoming", "call.custom.thing", "call.ended"]).await;
    agent.subscribe(&["call.ended", "alert"]).await;
    agent.unsubscribe(&["call.*"]).await;
    publish_each(&stage, &["call.incoming", "call.ended", "alert"]).await;
    expect_exactly(&mut agent, &["call.ended", "alert"]).await;
}

#[tokio::test]
async fn nothing_arrives_twice_for_overlapping_names() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    agent.subscribe(&["call.*", "call.incoming", "call.incoming"]).await;
    publish_each(&stage, &["call.incoming", "call.ended"]).await;
    expect_exactly(&mut agent, &["call.incoming", "call.ended"]).await;
}

#[tokio::test]
async fn after_the_last_unsubscribe_nothing_but_pong_and_error_arrives() {
    let stage = Stage::start().await;
    let (mut agent, mut witness) = (stage.agent(1).await, stage.agent(2).await);
    agent.subscribe(&["alert"]).await;
    agent.unsubscribe(&["alert"]).await;
    publish_each(&stage, &["alert", "call.ended"]).await;
    stage.service().publish(event_for(1, "notification")).await;
    expect_exactly(&mut witness, &["alert", "call.ended"]).await;
    agent.expect_silence().await;
    agent.send_json(json!({"type": "nonsense"})).await;
    agent.expect_error("unknown_command").await;
}

#[tokio::test]
async fn unsubscribing_without_a_subscription_changes_nothing() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    agent.unsubscribe(&["alert"]).await;
    publish_each(&stage, &["alert", "call.ended"]).await;
    expect_exactly(&mut agent, &["alert", "call.ended"]).await;
    agent.subscribe(&["alert"]).await;
    agent.unsubscribe(&["call.ended"]).await;
    publish_each(&stage, &["call.ended", "alert"]).await;
    expect_exactly(&mut agent, &["alert"]).await;
}

#[tokio::test]
async fn the_set_filters_targeted_events_and_is_each_connections_own() {
    let stage = Stage::start().await;
    let (mut picky, mut other) = (stage.agent(7).await, stage.agent(7).await);
    picky.subscribe(&["alert"]).await;
    stage.service().publish(event_for(7, "notification")).await;
    stage.service().publish(event_for(7, "alert")).await;
    expect_exactly(&mut picky, &["alert"]).await;
    expect_exactly(&mut other, &["notification", "alert"]).await;
}

async fn subscribe_many(agent: &mut WsClient, names: std::ops::Range<usize>) {
    let names: Vec<_> = names.map(|n| format!("own.type{n}")).collect();
    agent.send_json(json!({"type": "subscribe", "payload": {"events": names}})).await;
}

#[tokio::test]
async fn too_many_names_in_one_command_change_nothing() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    for count in [257, 10_000] {
        subscribe_many(&mut agent, 0..count).await;
        let message = agent.expect_error("too_many_names").await;
        assert!(message.contains("256"), "names the limit: {message}");
    }
    publish_each(&stage, &["alert", "own.type1"]).await;
    expect_exactly(&mut agent, &["alert", "own.type1"]).await;
}

#[tokio::test]
async fn too_many_names_on_one_connection_leave_the_set_as_it_was() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    subscribe_many(&mut agent, 0..200).await;
    agent.expect_silence().await;
    subscribe_many(&mut agent, 200..257).await;
    agent.expect_error("too_many_names").await;
    publish_each(&stage, &["own.type200", "own.type199"]).await;
    expect_exactly(&mut agent, &["own.type199"]).await;
    // Names it already has do not count again; exactly 256 fit.
    subscribe_many(&mut agent, 100..256).await;
    agent.expect_silence().await;
    publish_each(&stage, &["own.type255", "alert", "own.type0"]).await;
    expect_exactly(&mut agent, &["own.type255", "own.type0"]).await;
}

#[tokio::test]
async fn a_topics_event_goes_to_those_who_named_the_topic() {
    let stage = Stage::start().await;
    let (mut member, mut everything) = (stage.agent(1).await, stage.agent(2).await);
    let (mut by_type, mut stranger) = (stage.agent(3).await, stage.agent_of(OTHER, 1).await);
    member.subscribe(&["room-7", "alert"]).await;
    by_type.subscribe(&["survey.completed", "alert"]).await;
    stranger.subscribe(&["room-7", "alert"]).await;
    stage.service().publish(json!({"type": "survey.completed", "topic": "room-7"})).await;
    stage.service().publish(json!({"type": "survey.completed", "topic": "room-8"})).await;
    stage.service().publish(event("alert")).await;
    stage.service_of(OTHER).publish(event("alert")).await;
    expect_exactly(&mut member, &["survey.completed", "alert"]).await;
    for client in [&mut everything, &mut by_type, &mut stranger] {
        expect_exactly(client, &["alert"]).await;
    }
}
