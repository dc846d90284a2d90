//! Agents' connections: who gets an event, how it looks, and what the two bare JSON endpoints say.

use hookswitch_testkit::{PATIENCE, RawSocket, Token, eventually};
use serde_json::json;

use crate::stage::{OTHER, Stage, TENANT, event, event_for, expect_exactly};

#[tokio::test]
async fn a_tenants_event_reaches_its_agents_and_no_other_tenant() {
    let stage = Stage::start().await;
    let (mut first, mut second) = (stage.agent(1).await, stage.agent(2).await);
    let mut stranger = stage.agent_of(OTHER, 1).await;
    stage.service().publish(event("call.incoming")).await;
    stage.service_of(OTHER).publish(event("alert")).await;
    expect_exactly(&mut first, &["call.incoming"]).await;
    expect_exactly(&mut second, &["call.incoming"]).await;
    expect_exactly(&mut stranger, &["alert"]).await;
}

#[tokio::test]
async fn the_envelope_has_the_contracts_fields() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(456).await;
    let ids = stage.service().publish(event("call.incoming")).await;
    let got = agent.expect("call.incoming").await;
    assert_eq!(got["payload"], json!({"unique_id": "1729866000.1"}));
    assert_eq!((&got["tenant_id"], &got["id"]), (&json!(TENANT), &json!(ids[0])));
    assert!(got.get("user_id").is_none(), "user_id only on events for one user: {got}");
    let time = got["timestamp"].as_str().expect("a timestamp");
    assert!(time.len() >= 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'), "RFC 3339 UTC: {time}");
    stage.service().publish(json!({"type": "notification", "user_id": 456})).await;
    let got = agent.expect("notification").await;
    assert_eq!((&got["user_id"], &got["payload"]), (&json!(456), &json!({})));
}

#[tokio::test]
async fn the_payload_stays_as_it_came() {
    let stage = Stage::start().await;
    let mut agent = RawSocket::connect(stage.addr()).await;
    agent.upgrade("/ws", &stage.sign(&Token::new(TENANT, 1))).await;
    let payload = r#"{"z": 2.50, "a":[1e3,9007199254740993],"d":"\u00e9\/","a":null}"#;
    let body = format!(r#"{{"type":"survey.completed","payload":{payload}}}"#);
    assert_eq!(stage.service().post_text("/api/v1/events", body).await.status, 202);
    let text = agent.read_text().await;
    assert!(text.contains(&format!(r#""payload":{payload}"#)), "{text}");
}

#[tokio::test]
async fn a_targeted_event_reaches_all_connections_of_its_user_and_nobody_else() {
    let stage = Stage::start().await;
    let (mut phone, mut desktop) = (stage.agent(456).await, stage.agent("456").await);
    let (mut colleague, mut stranger) = (stage.agent(457).await, stage.agent_of(OTHER, 456).await);
    stage.service().publish(event_for(456, "notification")).await;
    stage.service().publish(event("alert")).await;
    stage.service_of(OTHER).publish(event("alert")).await;
    for connection in [&mut phone, &mut desktop] {
        expect_exactly(connection, &["notification", "alert"]).await;
    }
    expect_exactly(&mut colleague, &["alert"]).await;
    expect_exactly(&mut stranger, &["alert"]).await;
}

#[tokio::test]
async fn user_ids_may_be_strings_and_canonical_integers_become_numbers() {
    let stage = Stage::start().await;
    let (mut text, mut number) = (stage.agent("user-123").await, stage.agent(9).await);
    let mut padded = stage.agent("007").await;
    stage.service().publish(event_for("user-123", "notification")).await;
    assert_eq!(text.expect("notification").await["user_id"], "user-123");
    stage.service().publish(event_for("9", "notification")).await;
    assert_eq!(number.expect("notification").await["user_id"], 9);
    stage.service().publish(event_for("007", "notification")).await;
    assert_eq!(padded.expect("notification").await["user_id"], "007", "not canonical, so a string");
    stage.service().publish(event("alert")).await;
    expect_exactly(&mut number, &["alert"]).await;
}

#[tokio::test]
async fn there_is_no_greeting_and_ping_is_answered() {
    let stage = Stage::start().await;
    let mut agent = stage.agent(1).await;
    agent.send_json(json!({"type": "ping"})).await;
    let pong = agent.expect("pong").await;
    assert!(pong["timestamp"].is_string(), "{pong}");
    agent.expect_silence().await;
}

#[tokio::test]
async fn events_of_one_publisher_arrive_in_order() {
    let stage = Stage::start().await;
    let (mut agent, service) = (stage.agent(1).await, stage.service());
    for batch in 0..10 {
        let events: Vec<_> =
            (0..20).map(|n| json!({"type": "queue.stats", "payload": {"n": batch * 20 + n}})).collect();
        service.publish(json!({"events": events})).await;
    }
    for n in 0..200 {
        assert_eq!(agent.expect("queue.stats").await["payload"]["n"], n);
    }
}

#[tokio::test]
async fn the_counts_are_bare_json_under_both_paths() {
    let stage = Stage::start().await;
    let (_one, _two, _three) = (stage.agent(1).await, stage.agent(1).await, stage.agent_of(OTHER, 1).await);
    stage.start_chat("s-1").await;
    let visitor = stage.visitor("s-1").await;
    let api = stage.api(&Token::new(TENANT, 5));
    for path in ["/ws/stats", "/api/v1/ws/stats"] {
        let stats = api.get(path).await;
        assert_eq!(stats.status, 200);
        assert_eq!((&stats.json()["tenant_connections"], &stats.json()["total_connections"]), (&json!(3), &json!(4)));
    }
    visitor.close().await;
    eventually("the visitor no longer counts", PATIENCE, || async {
        api.get("/ws/stats").await.json()["tenant_connections"] == 2
    })
    .await;
}

#[tokio::test]
async fn presence_of_a_user_is_bare_json_under_both_paths() {
    let stage = Stage::start().await;
    let (first, second) = (stage.agent(123).await, stage.agent(123).await);
    let _same_name_elsewhere = stage.agent_of(OTHER, 124).await;
    let api = stage.api(&Token::new(TENANT, 5));
    for prefix in ["", "/api/v1"] {
        let online = api.get(&format!("{prefix}/ws/users/123/online")).await.json();
        assert_eq!(online, json!({"user_id": 123, "is_online": true, "connection_count": 2}));
        let offline = api.get(&format!("{prefix}/ws/users/124/online")).await.json();
        assert_eq!(offline, json!({"user_id": 124, "is_online": false, "connection_count": 0}));
        let named = api.get(&format!("{prefix}/ws/users/user-9/online")).await.json();
        assert_eq!(named["user_id"], "user-9");
    }
    first.close().await;
    eventually("one connection left", PATIENCE, || async {
        api.get("/ws/users/123/online").await.json()["connection_count"] == 1
    })
    .await;
    second.close().await;
    eventually("offline after the last one", PATIENCE, || async {
        api.get("/ws/users/123/online").await.json()["is_online"] == false
    })
    .await;
}

#[tokio::test]
async fn errors_of_the_bare_endpoints_use_the_envelope() {
    let stage = Stage::start().await;
    for path in ["/ws/stats", "/api/v1/ws/stats", "/ws/users/1/online", "/api/v1/ws/users/1/online"] {
        stage.node.api().get(path).await.expect_error(401, "unauthorized");
    }
}
