//! The typed calls and the questions.

use hookswitch_hub::PresenceState;
use hookswitch_protocol::payloads::{
    Agent, Alert, Call, ChatMessage, ChatSession, ChatTyping, Notification, QueueMember, QueueStats,
};
use hookswitch_protocol::{EventType, Payload, Timestamp, Topic, UserId};
use hookswitch_switch::{Broadcaster, TopicEvent};

use crate::stage::{Stage, tenant, user};

/// Says everything there is to say.
macro_rules! say_all {
    ($broadcaster:expr, $($call:ident($payload:expr) => $event_type:literal;)*) => {{
        let mut said = Vec::new();
        $(
            $broadcaster.$call(&tenant("t"), $payload).await.expect($event_type);
            said.push($event_type);
        )*
        said
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_reaches_clients_and_webhooks_under_its_type() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    let mut anna = stage.agent("t", 1).await;
    let (call, agent, session) = (|| Call::new("1.2"), || Agent::new(7, "anna"), || ChatSession::new("s", "open"));
    let member = || QueueMember::new("sales", 7);
    let said = say_all! { stage.broadcaster,
        agent_login(agent()) => "agent.login";
        agent_logout(agent()) => "agent.logout";
        agent_state_change(agent().in_state("break")) => "agent.state.changed";
        call_incoming(call()) => "call.incoming";
        call_answered(call()) => "call.answered";
        call_ended(call()) => "call.ended";
        call_transferred(call()) => "call.transferred";
        call_hold(call()) => "call.hold";
        call_unhold(call()) => "call.unhold";
        queue_joined(call()) => "queue.joined";
        queue_left(call()) => "queue.left";
        queue_member_added(member()) => "queue.member.added";
        queue_member_removed(member()) => "queue.member.removed";
        queue_member_paused(member()) => "queue.member.paused";
        queue_member_unpaused(member()) => "queue.member.unpaused";
        update_queue_stats(QueueStats::new("sales")) => "queue.stats";
        chat_session_started(session()) => "chat.session.started";
        chat_message_sent(ChatMessage::new("s", 1, "hello", Timestamp::from_millis(0))) => "chat.message";
        chat_message_new(ChatMessage::new("s", 2, "hi", Timestamp::from_millis(0)).of_type("text")) => "chat.message.new";
        chat_typing_indicator(ChatTyping::new("s")) => "chat.typing";
        chat_transferred(session()) => "chat.transferred";
        chat_session_ended(session()) => "chat.session.ended";
        send_alert(Alert::new("a", "b")) => "alert";
    };
    let mut heard = Vec::new();
    for _ in &said {
        heard.push(anna.next().await.expect("connected"));
    }
    let types: Vec<_> = heard.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(types, said);
    let of = |event_type: &str| &heard[said.iter().position(|said| *said == event_type).expect(event_type)]["payload"];
    assert_eq!((&of("agent.login")["state"], &of("agent.logout")["state"]), (&"available".into(), &"offline".into()));
    assert_eq!(of("agent.state.changed")["state"], "break");
    assert_eq!(of("call.incoming")["direction"], "inbound");
    assert_eq!(of("call.answered").get("direction"), None);
    assert_eq!(
        (&of("chat.message.new")["message_type"], &of("chat.message.new")["body"]),
        (&"text".into(), &"hi".into())
    );
    let n_stored = stage.script.take_calls().iter().filter(|call| call.starts_with("ledger.enqueue 1 to 1")).count();
    assert_eq!(n_stored, said.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_for_one_user() {
    let stage = Stage::new().await;
    let (mut one, mut two) = (stage.agent("t", 1).await, stage.agent("t", 2).await);
    let note = Notification::new("n-1", "title", "text");
    stage.broadcaster.send_notification(&tenant("t"), UserId::from(1), note).await.expect("sent");
    stage.broadcaster.send_alert(&tenant("t"), Alert::new("a", "b")).await.expect("sent");
    let note = one.next().await.expect("connected");
    assert_eq!(
        (&note["type"], &note["user_id"], &note["payload"]["id"]),
        (&"notification".into(), &1.into(), &"n-1".into())
    );
    assert_eq!(two.types(1).await, ["alert"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_level_reaches_connections_only() {
    let stage = Stage::new().await;
    stage.webhook(&["*"]).await;
    let (broadcaster, alert) = (&stage.broadcaster, || EventType::ALERT);
    let mut one = stage.agent("t", 1).await;
    broadcaster.broadcast_to_tenant(&tenant("t"), alert(), Payload::empty()).await.expect("sent");
    broadcaster.broadcast_to_user(&user("t", 1), alert(), Payload::empty()).await.expect("sent");
    broadcaster.broadcast_to_user(&user("t", 2), alert(), Payload::empty()).await.expect("sent");
    assert_eq!(one.next().await.expect("connected").get("user_id"), None);
    assert_eq!(one.next().await.expect("connected")["user_id"], 1);
    assert_eq!(stage.script.take_calls(), ["live alert"; 3], "no webhook, no copy for user 2");
    for refused in [EventType::PONG, EventType::WEBHOOK_TEST, EventType::CHAT_SESSION_ENDED] {
        broadcaster.broadcast_to_tenant(&tenant("t"), refused, Payload::empty()).await.expect_err("refused");
    }
    let own = EventType::PRESENCE_CHANGED;
    broadcaster.broadcast_to_tenant(&tenant("t"), own, Payload::empty()).await.expect("our own types may pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_heard_within_the_process() {
    let stage = Stage::new().await;
    let topic = Topic::parse("wall:1").expect("legal");
    let (own, other) = (tenant("t"), tenant("other"));
    let mut listener = stage.broadcaster.subscribe_to_topic(&own, &topic);
    let payload = |text: &str| Payload::parse(text).expect(text);
    let custom = EventType::parse("survey.completed").expect("legal");
    let publish = |of, n| stage.broadcaster.publish_to_topic(of, topic.clone(), custom.clone(), payload(n));
    publish(&other, r#"{"n":1}"#).await.expect("published");
    publish(&own, r#"{"n":2}"#).await.expect("published");
    let live = stage.broadcaster.broadcast_to_topic(&own, topic.clone(), custom.clone(), payload(r#"{"n":3}"#));
    live.await.expect("published");
    for wanted in [r#"{"n":2}"#, r#"{"n":3}"#] {
        let TopicEvent::Event(event) = listener.next().await else { panic!("nothing was missed") };
        assert_eq!((event.payload.as_str(), event.topic.as_ref()), (wanted, Some(&topic)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered() {
    let stage = Stage::new().await;
    let (_phone, _desktop, _other) = (stage.agent("t", 1).await, stage.agent("t", 1).await, stage.agent("o", 1).await);
    let broadcaster = &stage.broadcaster;
    assert_eq!(broadcaster.online_users(&tenant("t")).await.expect("known"), [UserId::from(1)]);
    assert_eq!(broadcaster.presence(&user("t", 1)).await.expect("known").state, PresenceState::Online);
    assert_eq!(broadcaster.presence(&user("t", 2)).await.expect("known").state, PresenceState::Offline);
    assert!(broadcaster.is_online(&user("o", 1)).await.expect("known"));
    assert_eq!(broadcaster.user_connections(&user("t", 1)).await.expect("known"), 2);
    assert_eq!((broadcaster.n_connections(), broadcaster.n_tenant_connections(&tenant("t"))), (3, 2));
    assert_eq!(broadcaster.n_user_connections(&user("t", 1)), 2);
    assert_eq!(broadcaster.concurrent_deliveries(), 0);
    let signature = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    let body = b"The quick brown fox jumps over the lazy dog";
    assert!(Broadcaster::verify_signature(body, signature, "key"));
    assert!(!Broadcaster::verify_signature(body, signature, "another"));
}
