//! The HTTP request of a delivery, as receivers that already exist expect it.

use hookswitch_testkit::Receiver;
use serde_json::json;

use crate::stage::{Stage, event, event_for};

#[tokio::test]
async fn the_request_has_the_contracts_line_headers_and_body() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    let body =
        json!({"name": "x", "url": receiver.url("/hook?a=b"), "events": ["call.incoming"], "secret": "slack-secret"});
    let id = stage.webhook_with(body).await;
    stage.service().publish(event("call.incoming")).await;
    let got = &receiver.wait_for(1).await[0];
    assert_eq!((got.method.as_str(), got.path.as_str()), ("POST", "/hook?a=b"));
    for (name, value) in [
        ("Content-Type", "application/json"),
        ("User-Agent", "CallCenter-Webhook/1.0"),
        ("X-Webhook-Event", "call.incoming"),
        ("X-Webhook-ID", &id.to_string()),
        ("X-Webhook-Attempt", "1"),
        ("Host", &receiver.addr()),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    let json = got.json();
    assert_eq!((&json["event"], &json["data"]), (&json!("call.incoming"), &event("call.incoming")["payload"]));
    let seconds = json["timestamp"].as_i64().expect("unix seconds");
    let sent: i64 = got.header("webhook-timestamp").expect("present").parse().expect("unix seconds");
    assert!((sent - seconds).abs() <= 5, "the event's time {seconds}, sent {sent}");
}

#[tokio::test]
async fn both_signatures_verify_over_the_raw_body() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    let secrets = ["slack-secret", "geheim-ä€", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    for (n, secret) in secrets.iter().enumerate() {
        let url = receiver.url(&format!("/{n}"));
        stage.webhook_with(json!({"name": "x", "url": url, "events": ["alert"], "secret": secret})).await;
    }
    stage.service().publish(json!({"type": "alert", "payload": {"title": "Grüße \u{2028}", "n": 2.5}})).await;
    for got in receiver.wait_for(secrets.len()).await {
        let n: usize = got.path[1..].parse().expect("the number");
        assert!(got.has_hex_signature(secrets[n]), "{}: {:?}", secrets[n], got.headers);
        assert!(got.has_standard_signature(secrets[n]), "{}: {:?}", secrets[n], got.headers);
        assert!(!got.has_hex_signature("other") && !got.has_standard_signature("other"));
    }
}

#[tokio::test]
async fn without_a_secret_there_is_no_signature() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    let got = &receiver.wait_for(1).await[0];
    assert_eq!(got.header("X-Webhook-Signature"), None);
    assert!(!got.delivery_id().is_empty());
}

#[tokio::test]
async fn each_delivery_has_an_id_of_its_own() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/a"), &["alert"]).await;
    stage.webhook(&receiver.url("/b"), &["alert"]).await;
    stage.service().publish(json!({"events": [event("alert"), event("alert"), event("alert")]})).await;
    let requests = receiver.wait_for(6).await;
    let ids: std::collections::HashSet<_> =
        requests.iter().map(|r| (r.path.clone(), r.delivery_id().to_owned())).collect();
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn only_what_was_asked_for_is_sent() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["call.incoming", "survey.completed", "notification"]).await;
    let published = ["alert", "call.incoming", "call.ended", "survey.completed"].map(event);
    stage.service().publish(json!({"events": published})).await;
    stage.service().publish(event_for(5, "notification")).await;
    let mut got: Vec<_> = receiver.wait_for(3).await.iter().map(|r| r.json()["event"].to_string()).collect();
    got.sort();
    assert_eq!(got, ["\"call.incoming\"", "\"notification\"", "\"survey.completed\""]);
}

#[tokio::test]
async fn a_thousand_accepted_events_are_a_thousand_deliveries() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    let events: Vec<_> = (0..1000).map(|n| json!({"type": "alert", "payload": {"n": n}})).collect();
    stage.service().publish(json!({"events": events})).await;
    let requests = receiver.wait_for_within(1000, std::time::Duration::from_mins(1)).await;
    let numbers: std::collections::BTreeSet<_> =
        requests.iter().filter_map(|r| r.json()["data"]["n"].as_u64()).collect();
    assert_eq!(numbers.len(), 1000);
}

#[tokio::test]
async fn a_test_delivery_is_sent_at_once_and_answers_what_came_back() {
    let (stage, receiver) = (Stage::start().await, Receiver::healthy().await);
    let body = json!({"name": "x", "url": receiver.url("/"), "events": ["alert"], "secret": "s"});
    let id = stage.webhook_with(body).await;
    let answer = stage.service().post_text(&format!("/api/v1/webhooks/{id}/test"), "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((&answer.data()["response_code"], &answer.data()["error"]), (&json!(200), &json!(null)));
    assert!(answer.data()["duration_ms"].is_u64(), "{}", answer.text());
    let got = &receiver.requests()[0];
    assert_eq!((got.header("X-Webhook-Event"), got.header("X-Webhook-Attempt")), (Some("webhook.test"), Some("1")));
    assert!(got.json()["event"] == "webhook.test" && got.has_hex_signature("s"));
    let rows = stage.log_rows(id, 1).await;
    assert_eq!((rows.len(), &rows[0]["event"], &rows[0]["attempt"]), (1, &json!("webhook.test"), &json!(1)));
}

#[tokio::test]
async fn a_failing_test_delivery_is_still_an_answer_and_is_not_retried() {
    let stage = Stage::start().await;
    let receiver = Receiver::start([hookswitch_testkit::Behaviour::status(500)]).await;
    let id = stage.webhook(&receiver.url("/"), &["alert"]).await;
    let answer = stage.service().post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
    assert_eq!((answer.status, &answer.data()["response_code"]), (200, &json!(500)));
    let closed = stage.webhook("http://127.0.0.1:9/", &["alert"]).await;
    let answer = stage.service().post(&format!("/api/v1/webhooks/{closed}/test"), json!({})).await;
    assert!(answer.data()["response_code"].is_null() && answer.data()["error"].is_string(), "{}", answer.text());
    assert_eq!((stage.log_rows(id, 1).await.len(), receiver.count()), (1, 1));
}
