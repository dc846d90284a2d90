//! `hookswitch receiver`, the real program, fed by the real server.

use hookswitch_testkit::{ApiClient, NodeProcess, NodeSpec, PATIENCE, eventually, eventually_some};
use serde_json::{Value, json};

use crate::stage::{Stage, event};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn receiver(args: &[&str]) -> NodeProcess {
    NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")).args(&[&["receiver"], args].concat()).start().await
}

/// Ends it as Ctrl-C does, and returns everything it printed.
async fn ended(mut receiver: NodeProcess) -> String {
    receiver.interrupt();
    assert_eq!(receiver.wait(PATIENCE).await.code(), Some(0), "the documented code");
    receiver.log()
}

async fn webhook(stage: &Stage, receiver: &NodeProcess, secret: &str) -> i64 {
    let url = format!("http://{}/", receiver.addr());
    stage.webhook_with(json!({"name": "x", "url": url, "events": ["alert"], "secret": secret, "timeout": 1})).await
}

/// The JSON lines after the first, once there are `n`.
async fn lines(receiver: &NodeProcess, n: usize) -> Vec<Value> {
    eventually_some(&format!("{n} lines"), PATIENCE, || async {
        let log = receiver.log();
        let lines: Vec<Value> = log.lines().skip(1).filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= n).then_some(lines)
    })
    .await
}

#[tokio::test]
async fn it_prints_a_line_per_delivery_and_says_whether_it_is_genuine() {
    let stage = Stage::start().await;
    let shown = receiver(&["--secret", SECRET]).await;
    webhook(&stage, &shown, SECRET).await;
    webhook(&stage, &shown, "another secret").await;
    stage.service().publish(event("alert")).await;
    eventually("two lines", PATIENCE, || async { shown.log().lines().count() >= 3 }).await;
    let log = ended(shown).await;
    let first = log.lines().next().expect("a line");
    assert!(first.starts_with("listening on http://127.0.0.1:"), "for programs: {first}");
    for part in ["alert", "attempt 1", "hex ok  std ok", "hex BAD  std BAD"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    let wanted = "2 requests: 2 deliveries, 0 repeats, 0 without id, 1 with bad signatures";
    assert_eq!(log.lines().last(), Some(wanted));
}

#[tokio::test]
async fn retries_are_repeats_of_one_delivery() {
    let stage = Stage::start().await;
    let failing = receiver(&["--mode", "fail-first:1", "--retry-after", "1", "--json", "--secret", SECRET]).await;
    webhook(&stage, &failing, SECRET).await;
    stage.service().publish(event("alert")).await;
    let lines = lines(&failing, 2).await;
    assert_eq!(lines[0]["delivery"], lines[1]["delivery"]);
    let of = |key: &str| [lines[0][key].clone(), lines[1][key].clone()];
    assert_eq!((of("times"), of("attempt")), ([json!(1), json!(2)], [json!("1"), json!("2")]));
    assert_eq!((of("hex"), of("standard")), ([json!("ok"), json!("ok")], [json!("ok"), json!("ok")]));
    let log = ended(failing).await;
    let summary: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
    let wanted = json!({"requests": 2, "deliveries": 1, "repeats": 1, "without_id": 0, "bad_signatures": 0});
    assert_eq!(summary["summary"], wanted);
}

#[tokio::test]
async fn unsigned_and_unchecked_requests_are_told_apart_and_quiet_is_quiet() {
    let shown = receiver(&[]).await;
    let client = ApiClient::new(shown.addr());
    assert_eq!(client.post_text("/", "{}").await.status, 200);
    let signed = [("x-webhook-signature", "00"), ("webhook-signature", "v1,00"), ("webhook-id", "d1")];
    let sent = client.try_send(http::Method::POST, "/", "{}".into(), &signed).await.expect("answered");
    assert_eq!(sent.status, 200);
    let log = ended(shown).await;
    assert!(log.contains("hex none  std none") && log.contains("hex unchecked  std unchecked"), "{log}");
    let quiet = receiver(&["--quiet", "--mode", "status:503", "--retry-after", "30"]).await;
    let answer = ApiClient::new(quiet.addr()).post_text("/", "{}").await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().ok()), (503, Some("30")));
    assert_eq!(ended(quiet).await.lines().count(), 2, "where, and the summary");
}

/// Each bad receiver as a webhook's test reports it.
#[tokio::test]
async fn every_way_to_misbehave_is_recognised() {
    let stage = Stage::start().await;
    for (mode, status, error) in [
        ("status:404", Some(404), ""),
        ("redirect:http://10.0.0.1/", Some(302), ""),
        ("slow:50ms", Some(200), ""),
        ("slow:1m", None, "timeout"),
        ("silent", None, "timeout"),
        ("slowloris", None, "timeout"),
        ("endless", Some(200), "response_too_large"),
        ("endless-head", None, "invalid_response"),
        ("giant-header", None, "invalid_response"),
        ("broken-header", None, "invalid_response"),
        ("http2", None, "invalid_response"),
        ("gzip-bomb", Some(200), ""),
        ("continue-flood", None, "invalid_response"),
        ("close", Some(200), ""),
        ("reset:accept", None, "connection_reset"),
        ("reset:request", None, "connection_reset"),
        ("reset:head", None, "connection_reset"),
        ("reset:body", Some(200), "connection_reset"),
    ] {
        let bad = receiver(&["--mode", mode, "--quiet"]).await;
        let id = webhook(&stage, &bad, SECRET).await;
        let report = stage.service().post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await.data();
        assert_eq!(report["response_code"], json!(status), "{mode}: {report}");
        let said = report["error"].as_str().unwrap_or_default();
        assert!(said.starts_with(error) && said.is_empty() == error.is_empty(), "{mode}: {report}");
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let first = receiver(&[]).await;
    let second = NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")).args(&["receiver", "--listen", first.addr()]);
    let output = second.run().await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains(first.addr()), "{}", output.stderr);
}
