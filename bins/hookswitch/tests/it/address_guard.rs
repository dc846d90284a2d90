//! Where webhooks may not lead: nothing but publicly routable addresses, however they are spelt.

use hookswitch_testkit::{Behaviour, NodeSpec, Receiver};
use serde_json::json;

use crate::stage::{Stage, event};

/// A node without any permission for plain http or inner addresses.
async fn strict() -> Stage {
    Stage { node: NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")).start().await }
}

async fn create(stage: &Stage, url: &str) -> hookswitch_testkit::Answer {
    stage.service().post("/api/v1/webhooks", json!({"name": "x", "url": url, "events": ["alert"]})).await
}

#[tokio::test]
async fn inner_addresses_are_refused_in_every_spelling() {
    let stage = strict().await;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[ff02::1]",
        "[2001:db8::1]",
    ] {
        let answer = create(&stage, &format!("https://{host}/hook")).await;
        assert_eq!(answer.status, 400, "{host}: {}", answer.text());
        assert!(answer.text().contains("url"), "names the field: {}", answer.text());
    }
    assert_eq!(stage.service().get("/api/v1/webhooks").await.data(), json!([]), "nothing is stored");
}

#[tokio::test]
async fn plain_http_needs_permission() {
    let stage = strict().await;
    for url in ["http://crm.example/", "http://169.254.169.254/", "http://[::ffff:10.0.0.1]/", "HTTP://crm.example/"] {
        assert_eq!(create(&stage, url).await.status, 400, "{url}");
    }
    assert_eq!(create(&stage, "https://crm.example/").await.status, 201);
}

#[tokio::test]
async fn the_permission_for_loopback_is_no_permission_for_the_rest() {
    let stage = Stage::start().await;
    for url in
        ["http://169.254.169.254/latest/meta-data", "http://[::ffff:10.0.0.1]/", "http://10.0.0.1/", "http://[::1]/"]
    {
        assert_eq!(create(&stage, url).await.status, 400, "{url}");
    }
    assert_eq!(create(&stage, "http://127.0.0.1:9/").await.status, 201);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_at_the_latest_when_sending() {
    let receiver = Receiver::healthy().await;
    let spec = NodeSpec::new(env!("CARGO_BIN_EXE_hookswitch")).env("WEBHOOK_ALLOW_HTTP", "true");
    let stage = Stage { node: spec.start().await };
    let port = receiver.addr().rsplit(':').next().expect("a port").to_owned();
    let body = json!({"name": "x", "url": format!("http://localhost:{port}/"), "events": ["alert"], "retry_count": 0});
    let created = stage.service().post("/api/v1/webhooks", body).await;
    if created.status == 201 {
        let id = created.data()["id"].as_i64().expect("an id");
        stage.service().publish(event("alert")).await;
        let tested = stage.service().post(&format!("/api/v1/webhooks/{id}/test"), json!({})).await;
        assert!(tested.data()["response_code"].is_null() && tested.data()["error"].is_string(), "{}", tested.text());
        let rows = stage.log_rows(id, 2).await;
        assert!(rows.iter().all(|row| row["response_code"].is_null() && row["error"].is_string()), "{rows:?}");
    } else {
        assert_eq!(created.status, 400);
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn a_redirect_inside_is_not_followed() {
    let target = Receiver::healthy().await;
    let receiver = Receiver::start([Behaviour::redirect(&target.url("/inside"))]).await;
    let stage = Stage::start().await;
    let id = stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    let rows = stage.log_rows(id, 1).await;
    assert_eq!((&rows[0]["response_code"], receiver.count(), target.count()), (&json!(302), 1, 0));
}

#[tokio::test]
async fn proxy_variables_are_ignored() {
    let (proxy, receiver) = (Receiver::healthy().await, Receiver::healthy().await);
    let url = proxy.url("/");
    let stage = Stage::with(&[("http_proxy", &url), ("HTTP_PROXY", &url), ("ALL_PROXY", &url)]).await;
    stage.webhook(&receiver.url("/"), &["alert"]).await;
    stage.service().publish(event("alert")).await;
    receiver.wait_for(1).await;
    assert_eq!(proxy.count(), 0);
}
