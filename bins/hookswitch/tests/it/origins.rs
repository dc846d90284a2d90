//! Which pages may connect.

use hookswitch_testkit::{Token, WsRequest};

use crate::stage::{Stage, TENANT};

async fn status(stage: &Stage, path: &str, origin: &str) -> u16 {
    let token = stage.sign(&Token::new(TENANT, 1));
    let request = WsRequest::new(stage.addr(), path).bearer(&token).header("origin", origin);
    request.connect().await.map_or_else(|refusal| refusal.status, |_| 101)
}

#[tokio::test]
async fn without_a_list_the_origin_must_be_the_host() {
    let stage = Stage::start().await;
    let port = stage.addr().rsplit(':').next().expect("a port").to_owned();
    assert_eq!(status(&stage, "/ws", &format!("http://127.0.0.1:{port}")).await, 101);
    for foreign in [
        "https://evil.example".to_owned(),
        format!("http://localhost:{port}"),
        "http://127.0.0.1:1".into(),
        "null".into(),
    ] {
        assert_eq!(status(&stage, "/ws", &foreign).await, 403, "{foreign}");
        assert_eq!(status(&stage, "/api/v1/ws", &foreign).await, 403, "{foreign}");
    }
    stage.agent(1).await.expect_silence().await;
}

#[tokio::test]
async fn a_list_allows_what_it_names() {
    let stage = Stage::with(&[("WS_ALLOWED_ORIGINS", "https://desk.example,https://other.example:8443")]).await;
    for (origin, wanted) in [
        ("https://desk.example", 101),
        ("https://other.example:8443", 101),
        ("https://other.example", 403),
        ("http://desk.example", 403),
        ("https://desk.example.evil.example", 403),
        ("https://evil.example", 403),
    ] {
        assert_eq!(status(&stage, "/ws", origin).await, wanted, "{origin}");
    }
    stage.agent(1).await.expect_silence().await;
}

#[tokio::test]
async fn visitors_may_come_from_anywhere_unless_told_otherwise() {
    let stage = Stage::start().await;
    stage.start_chat("s").await;
    assert_eq!(status(&stage, "/ws/public/s", "https://shop.example").await, 101);
    let stage = Stage::with(&[("WS_PUBLIC_ALLOWED_ORIGINS", "https://shop.example")]).await;
    stage.start_chat("s").await;
    assert_eq!(status(&stage, "/ws/public/s", "https://shop.example").await, 101);
    stage.start_chat("key-of-a-visitor").await;
    assert_eq!(status(&stage, "/ws/public/key-of-a-visitor", "https://evil.example").await, 403);
    let log = stage.node.logged("origin refused").await;
    assert!(!log.contains("key-of-a-visitor"), "no key in the log: {log}");
}

#[tokio::test]
async fn a_rest_preflight_is_answered_for_the_same_list() {
    let stage = Stage::with(&[("WS_ALLOWED_ORIGINS", "https://desk.example")]).await;
    let preflight = |origin: &'static str| {
        let api = stage.node.api();
        async move {
            let headers = [("origin", origin), ("access-control-request-method", "POST")];
            api.options("/api/v1/webhooks", &headers).await
        }
    };
    let allowed = preflight("https://desk.example").await;
    assert!(allowed.status == 200 || allowed.status == 204, "{}", allowed.status);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://desk.example");
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), "");
}
