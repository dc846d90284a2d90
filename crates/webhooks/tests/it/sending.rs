//! What the client does with answers that are odd, and where it refuses to go. Told by test
//! deliveries, which use the same client.

use hookswitch_protocol::{EventType, NodeId, Secret};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{Behaviour, Receiver};
use hookswitch_webhooks::{
    AddressPolicy, NewWebhook, TestReport, WebhookConfig, WebhookError, WebhookInput, WebhookOptions, WebhookSeams,
    Webhooks,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::node::{Node, SECRET, loopback, tenant};

async fn tried(behaviour: Behaviour) -> (TestReport, hookswitch_webhooks::AttemptRow) {
    let receiver = Receiver::start([behaviour]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let input = WebhookInput { timeout: Some(2), ..WebhookInput::default() };
    let webhook = node.webhook_with(&receiver.url("/"), input).await;
    let report = node.webhooks.test(&tenant(), webhook.id).await.expect("it is theirs");
    let mut rows = node.rows(webhook.id).await;
    assert_eq!((rows.len(), receiver.count()), (1, 1), "one attempt, one row");
    (report, rows.remove(0))
}

/// What a test says when the URL could only be stored by hand.
async fn tried_by_hand(policy: AddressPolicy, url: &str) -> TestReport {
    let (clock, scope) = (Clock::system(), Scope::root("test"));
    let seams = WebhookSeams::memory(&clock);
    let row = NewWebhook {
        name: "by hand".to_owned(),
        url: url.to_owned(),
        events: vec!["*".to_owned()],
        secret: Some(Secret::new("whsec_*")),
        retry_count: 3,
        timeout_secs: 5,
        options: WebhookOptions::default(),
    };
    let row = seams.directory.create(&tenant(), row).await.expect("memory");
    let node = NodeId::generate(clock.now());
    let webhooks = Webhooks::start(WebhookConfig::default(), policy, seams, node, clock, scope).await.expect("memory");
    webhooks.test(&tenant(), row.id).await.expect("it is theirs")
}

fn class(report: &TestReport) -> &str {
    report.error.as_deref().and_then(|error| error.split(':').next()).unwrap_or("")
}

#[tokio::test]
async fn a_test_is_an_event_of_its_own() {
    let receiver = Receiver::start([Behaviour::json(200, "{\"ok\":true}")]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&receiver.url("/")).await;
    let report = node.webhooks.test(&tenant(), webhook.id).await.expect("it is theirs");
    assert_eq!((report.response_code, report.error), (Some(200), None));
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("X-Webhook-Event"), Some("webhook.test"));
    assert!(request.has_hex_signature(SECRET) && request.has_standard_signature(SECRET));
    assert_eq!(request.json()["event"], "webhook.test");
    let row = node.rows(webhook.id).await.remove(0);
    assert_eq!((row.event_type, row.response_body.as_deref()), (EventType::WEBHOOK_TEST, Some("{\"ok\":true}")));
    assert_eq!(node.webhooks.metrics().attempts.get(), 0, "tests are not deliveries");
    let foreign = hookswitch_protocol::TenantId::parse("other").expect("legal");
    let refused = node.webhooks.test(&foreign, webhook.id).await;
    assert!(matches!(refused, Err(WebhookError::NotFound { .. })), "{refused:?}");
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::healthy().await;
    let (report, row) = tried(Behaviour::redirect(&elsewhere.url("/"))).await;
    assert_eq!((report.response_code, row.response_code, elsewhere.count()), (Some(302), Some(302), 0));
}

#[tokio::test]
async fn a_body_without_end_is_cut_and_the_status_counts() {
    let (report, row) = tried(Behaviour::EndlessBody).await;
    assert_eq!((report.response_code, class(&report)), (Some(200), "response_too_large"));
    assert!(report.duration_ms < 1_900, "it is not waited for: {} ms", report.duration_ms);
    assert_eq!(row.response_body.expect("its start").len(), 4096, "the log keeps the start");
    let body = "é".repeat(40_000);
    let (report, row) = tried(Behaviour::json(500, &body)).await;
    assert_eq!((report.response_code, class(&report), row.response_code), (Some(500), "response_too_large", Some(500)));
    let body = "é".repeat(30_000);
    let (report, row) = tried(Behaviour::json(200, &body)).await;
    assert_eq!((report.response_code, report.error), (Some(200), None), "60,000 bytes are read to the end");
    assert_eq!(row.response_body.expect("its start"), "é".repeat(2048));
}

#[tokio::test]
async fn broken_connections_have_their_class() {
    let (report, _) = tried(Behaviour::Reset).await;
    assert_eq!((report.response_code, class(&report)), (None, "connection_reset"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    assert_eq!(class(&tried_by_hand(loopback(), &url).await), "connection_refused");
    let unknown = tried_by_hand(loopback(), "http://no-such-host.invalid/").await;
    assert_eq!(class(&unknown), "dns_error");
}

#[tokio::test]
async fn what_is_no_http_and_what_is_no_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n\r\n").await.expect("a listener");
        }
    });
    let report = tried_by_hand(loopback(), &format!("http://{addr}/")).await;
    assert_eq!((report.response_code, class(&report)), (None, "invalid_response"));
    let report = tried_by_hand(loopback(), &format!("https://{addr}/")).await;
    assert_eq!((report.response_code, class(&report)), (None, "tls_error"));
}

#[tokio::test]
async fn rows_by_hand_cannot_reach_inside() {
    let inside = Receiver::healthy().await;
    let port = inside.addr().rsplit(':').next().expect("a port").to_owned();
    let strict = AddressPolicy::strict().allow_http();
    let hosts = "127.0.0.1 127.1 2130706433 0x7f.1 localhost [::ffff:127.0.0.1] [::1] 0 [::ffff:0:127.0.0.1] [1::1] \
                 [4000::1] [8000::1] [2001:470::5efe:127.0.0.1] [2001:470::200:5efe:127.0.0.1]";
    for host in hosts.split_whitespace() {
        let report = tried_by_hand(strict.clone(), &format!("http://{host}:{port}/")).await;
        assert_eq!((report.response_code, class(&report)), (None, "address_blocked"), "{host}");
        assert!(!report.error.expect("why").contains("127"), "{host}");
    }
    let plain = AddressPolicy::strict().allow_cidrs("127.0.0.0/8").expect("legal");
    let report = tried_by_hand(plain, &inside.url("/")).await;
    assert_eq!(class(&report), "address_blocked", "plain http is not allowed");
    assert_eq!(class(&tried_by_hand(strict, "not a url").await), "invalid_url");
    assert_eq!(inside.count(), 0);
}
