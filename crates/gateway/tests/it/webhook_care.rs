//! Looking after webhooks over REST: rotation, switching on, sending again, logs; each within the
//! tenant and for who may.

use hookswitch_testkit::{ApiClient, Behaviour, PATIENCE, Receiver, eventually};
use serde_json::{Value, json};

use crate::rig::Rig;

const WEBHOOKS: &str = "/api/v1/webhooks";
const EVER: &str = "1970-01-01T00:00:00Z";

/// A webhook of the tenant's; its path.
async fn webhook(service: &ApiClient, url: &str) -> String {
    let body = json!({"name": "CRM", "url": url, "events": ["call.*"], "secret": "hush", "retry_count": 0});
    let created = service.post(WEBHOOKS, body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    format!("{WEBHOOKS}/{}", created.data()["id"])
}

async fn publish(service: &ApiClient, n: usize) {
    for _ in 0..n {
        service.publish(json!({"type": "call.incoming", "payload": {"unique_id": "1.1"}})).await;
    }
}

async fn logs_when(service: &ApiClient, path: &str, query: &str, n: usize) -> Value {
    let path = format!("{path}/logs{query}");
    let logs = || service.get(&path);
    let n_lines = |logs: &Value| logs.as_array().map_or(0, Vec::len);
    eventually(&format!("{n} lines"), PATIENCE, || async { n_lines(&logs().await.data()) >= n }).await;
    logs().await.data()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rotated_with_an_overlap() {
    let rig = Rig::open().await;
    let service = rig.service("tenant-1");
    let path = webhook(&service, "https://1.1.1.1/hook").await;
    let path = format!("{path}/rotate-secret");
    let rotate = |body: Value| service.post(&path, body);
    let made = rotate(json!({})).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert!(made.data()["generated_secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    assert!(made.data()["previous_secret_valid_until"].is_string());
    let given = rotate(json!({"secret": "my-next", "overlap_seconds": 0})).await;
    assert!(!given.text().contains("my-next") && !given.text().contains("generated_secret"), "{}", given.text());
    assert_eq!(given.data()["previous_secret_valid_until"], Value::Null);
    assert!(rotate(json!({"secret": "my-next"})).await.expect_error(400, "invalid_field").starts_with("secret is the"));
    let message = rotate(json!({"overlap_seconds": 604_801})).await.expect_error(400, "invalid_field");
    assert_eq!(message, "overlap_seconds is 604801, must be 0 to 604800");
    assert_eq!(service.post_text(&path, "").await.status, 200, "a body is not needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switched_on_again_a_webhook_can_get_what_it_missed() {
    let (rig, receiver) = (Rig::with_receivers().await, Receiver::healthy().await);
    let service = rig.service("tenant-1");
    let path = webhook(&service, &receiver.url("/")).await;
    assert_eq!(service.put(&path, json!({"is_active": false})).await.data()["is_active"], json!(false));
    publish(&service, 2).await;
    let skips = logs_when(&service, &path, "?include=skipped", 2).await;
    assert_eq!((&skips[0]["skipped"], &skips[0]["event"]), (&json!("webhook_disabled"), &json!("call.incoming")));
    assert!(skips[0]["delivery_id"].is_string() && skips[0]["created_at"].is_string(), "{skips}");
    assert_eq!(service.get(&format!("{path}/logs")).await.data(), json!([]), "skips are told when asked for");
    service.post(&format!("{path}/resend"), json!({"since": EVER})).await.expect_error(409, "conflict");
    let enabled = service.post(&format!("{path}/enable"), json!({"deliver_missed_since": EVER})).await;
    assert_eq!(enabled.status, 200, "{}", enabled.text());
    let enabled = enabled.data();
    assert_eq!((&enabled["is_active"], &enabled["queued"]), (&json!(true), &json!(2)));
    assert_eq!((&enabled["has_more"], &enabled["name"]), (&json!(false), &json!("CRM")));
    receiver.wait_for(2).await;
    let nothing = service.post_text(&format!("{path}/enable"), "").await;
    assert_eq!((nothing.status, &nothing.data()["queued"]), (200, &json!(0)));
    let bad = service.post(&format!("{path}/enable"), json!({"deliver_missed_since": "yesterday"})).await;
    assert!(bad.expect_error(400, "invalid_field").starts_with("deliver_missed_since"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_sent_again_all_of_it_or_one() {
    let rig = Rig::with_receivers().await;
    let receiver = Receiver::start([Behaviour::status(404)]).await;
    let service = rig.service("tenant-1");
    let path = webhook(&service, &receiver.url("/")).await;
    publish(&service, 2).await;
    let failed = logs_when(&service, &path, "?status=failed", 2).await;
    let delivery = failed[0]["delivery_id"].as_str().expect("new rows have one").to_owned();
    assert!(failed[0]["timings"].get("first_byte_ms").is_some(), "{failed}");
    receiver.now([Behaviour::status(200)]);
    let one = service.post(&format!("{path}/deliveries/{delivery}/resend"), json!({})).await;
    assert_eq!(one.data(), json!({"queued": 1, "has_more": false}), "{}", one.text());
    let of_it = logs_when(&service, &path, &format!("?delivery_id={delivery}"), 2).await;
    assert_eq!((&of_it[0]["attempt"], &of_it[0]["response_code"]), (&json!(2), &json!(200)));
    let rest = service.post(&format!("{path}/resend"), json!({"since": EVER})).await;
    assert_eq!(rest.data(), json!({"queued": 1, "has_more": false}), "{}", rest.text());
    logs_when(&service, &path, "?status=success", 2).await;
    let bad = service.post(&format!("{path}/resend"), json!({})).await.expect_error(400, "invalid_field");
    assert!(bad.starts_with("since is required"), "{bad}");
    for unknown in ["0199", "a%20b", &"x".repeat(200)] {
        let answer = service.post(&format!("{path}/deliveries/{unknown}/resend"), json!({})).await;
        answer.expect_error(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_waits_is_not_sent_again() {
    let rig = Rig::with_receivers().await;
    let receiver = Receiver::start([Behaviour::status(503)]).await;
    let service = rig.service("tenant-1");
    let path = webhook(&service, &receiver.url("/")).await;
    service.put(&path, json!({"retry_count": 20})).await;
    publish(&service, 1).await;
    let rows = logs_when(&service, &path, "", 1).await;
    let delivery = rows[0]["delivery_id"].as_str().expect("new rows have one").to_owned();
    let again = service.post(&format!("{path}/deliveries/{delivery}/resend"), json!({})).await;
    again.expect_error(409, "conflict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_filtered_and_each_bad_filter_is_named() {
    let rig = Rig::with_receivers().await;
    let receiver = Receiver::start([Behaviour::status(404), Behaviour::status(200)]).await;
    let service = rig.service("tenant-1");
    let path = webhook(&service, &receiver.url("/")).await;
    publish(&service, 1).await;
    logs_when(&service, &path, "", 1).await;
    service.publish(json!({"type": "call.ended"})).await;
    logs_when(&service, &path, "", 2).await;
    for (query, n) in [
        ("?event=call.ended", 1),
        ("?event=call.held", 0),
        ("?status=success", 1),
        ("?status=failed", 1),
        ("?status=404", 1),
        ("?status=500", 0),
        ("?since=1970-01-01T00:00:00Z&include=skipped", 2),
        ("?since=2999-01-01T00:00:00Z", 0),
        ("?limit=1", 2),
    ] {
        let found = service.get(&format!("{path}/logs{query}")).await;
        assert_eq!(found.meta()["total"], json!(n), "{query}: {}", found.text());
    }
    for bad in ["event=Call", "status=ok", "since=x", "delivery_id=", "include=all", "limit=0", "offset=-1"] {
        let message = service.get(&format!("{path}/logs?{bad}")).await.expect_error(400, "invalid_field");
        assert!(message.starts_with(bad.split('=').next().expect("a name")), "{bad}: {message}");
    }
}

/// Every new request about one webhook, with a body that is wrong wherever one is read.
async fn changes(api: &ApiClient, prefix: &str, id: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for path in ["rotate-secret", "enable", "resend", "deliveries/0199/resend"] {
        let answer = api.post_text(&format!("{prefix}/{id}/{path}"), "not json").await;
        let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
        answers.push((answer.status, code));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tenants_webhook_is_404_before_the_body_is_read_under_both_prefixes() {
    let rig = Rig::open().await;
    let path = webhook(&rig.service("tenant-1"), "https://1.1.1.1/hook").await;
    let id = path.rsplit('/').next().expect("an id");
    let stranger = rig.service("tenant-2");
    let not_found = vec![(404, "not_found".to_owned()); 4];
    let bad_bodies = |code: &str| (400, code.to_owned());
    for prefix in [WEBHOOKS, "/api/webhooks"] {
        assert_eq!(changes(&stranger, prefix, id).await, not_found);
        assert_eq!(changes(&rig.service("tenant-1"), prefix, "999").await, not_found);
        stranger.get(&format!("{prefix}/{id}/logs?status=x")).await.expect_error(404, "not_found");
        let own = changes(&rig.service("tenant-1"), prefix, id).await;
        assert_eq!(own[..3], vec![bad_bodies("invalid_json"); 3], "the owner is told of the body");
    }
    let untouched = rig.service("tenant-1").get(&path).await.data();
    assert_eq!(untouched["previous_secret_valid_until"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supervisors_and_agents_change_nothing() {
    let rig = Rig::open().await;
    let path = webhook(&rig.service("tenant-1"), "https://1.1.1.1/hook").await;
    let id = path.rsplit('/').next().expect("an id");
    let forbidden = vec![(403, "forbidden".to_owned()); 4];
    for role in ["supervisor", "agent", "janitor"] {
        assert_eq!(changes(&rig.role("tenant-1", role), WEBHOOKS, id).await, forbidden, "{role}");
    }
    assert_eq!(changes(&rig.api(), WEBHOOKS, id).await, vec![(401, "unauthorized".to_owned()); 4]);
    let supervisor = rig.role("tenant-1", "supervisor");
    assert_eq!(supervisor.get(&format!("{path}/logs?include=skipped")).await.status, 200);
    let admin = rig.role("tenant-1", "admin");
    assert_eq!(admin.post(&format!("{path}/enable"), json!({})).await.status, 200);
}
