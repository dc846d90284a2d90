//! Registrations through the facade, and how fast they take effect.

use hookswitch_protocol::{ErrorCode, EventType, TenantId};
use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::{
    BreakerRule, BreakerState, LogFilter, NewWebhook, Page, WebhookConfig, WebhookError, WebhookInput, WebhookOptions,
};

use crate::node::{Node, tenant};

fn other() -> TenantId {
    TenantId::parse("other").expect("legal")
}

#[tokio::test]
async fn changes_are_in_force_when_the_call_returns() {
    let node = Node::start(WebhookConfig::default()).await;
    let matching = || node.matching(&tenant(), &EventType::CALL_ENDED);
    let webhook = node.webhook("http://127.0.0.1:9/").await;
    assert_eq!(matching(), [webhook.id]);
    let off = WebhookInput { is_active: Some(false), ..WebhookInput::default() };
    node.webhooks.update(&tenant(), webhook.id, off).await.expect("theirs");
    assert_eq!(matching(), []);
    let on = WebhookInput { is_active: Some(true), ..WebhookInput::default() };
    node.webhooks.update(&tenant(), webhook.id, on).await.expect("theirs");
    assert_eq!(matching(), [webhook.id]);
    node.webhooks.delete(&tenant(), webhook.id).await.expect("theirs");
    assert_eq!(matching(), []);
}

#[tokio::test]
async fn rows_inserted_by_hand_take_effect_within_seconds_and_bad_ones_hurt_nobody() {
    let receiver = Receiver::healthy().await;
    let node = Node::start(WebhookConfig::default()).await;
    let by_hand = |url: &str, events: &[&str]| NewWebhook {
        name: "by hand".to_owned(),
        url: url.to_owned(),
        events: events.iter().map(ToString::to_string).collect(),
        secret: None,
        retry_count: 3,
        timeout_secs: 30,
        options: WebhookOptions::default(),
    };
    let directory = &node.seams.directory;
    directory.create(&tenant(), by_hand("nonsense", &["call.incoming"])).await.expect("memory");
    directory.create(&tenant(), by_hand("https://example.com/", &["Not An Event"])).await.expect("memory");
    let good = directory.create(&tenant(), by_hand(&receiver.url("/"), &["call.incoming"])).await.expect("memory");
    let matching = || node.matching(&tenant(), &EventType::CALL_INCOMING);
    eventually("the good row matches", PATIENCE, || async { matching().contains(&good.id) }).await;
    node.publish(1).await;
    receiver.wait_for(1).await;
}

#[tokio::test]
async fn a_row_by_hand_that_cannot_be_called_says_so_in_the_log_once_per_event() {
    let node = Node::start(WebhookConfig::default()).await;
    let mut ids = Vec::new();
    let cases = [
        ("nonsense", "invalid_url"),
        ("https://user:word@example.com/", "invalid_url"),
        ("ftp://example.com/", "invalid_url"),
        ("http://[::ffff:0:127.0.0.1]/", "address_blocked"),
        ("http://[8000::1]/", "address_blocked"),
        ("http://[2001:470::5efe:10.0.0.1]/", "address_blocked"),
    ];
    for (url, class) in cases {
        let row = NewWebhook {
            name: "by hand".to_owned(),
            url: url.to_owned(),
            events: vec!["call.incoming".to_owned()],
            secret: None,
            retry_count: 3,
            timeout_secs: 30,
            options: WebhookOptions::default(),
        };
        ids.push((node.seams.directory.create(&tenant(), row).await.expect("memory").id, url, class));
    }
    let n_matching = || node.matching(&tenant(), &EventType::CALL_INCOMING).len();
    eventually("all rows match", PATIENCE, || async { n_matching() == cases.len() }).await;
    node.publish(1).await;
    for (id, url, class) in ids {
        let rows = node.rows_when(id, 1).await;
        let error = rows[0].error.as_deref().unwrap_or_default();
        assert!(error.starts_with(class), "{url}: {error}");
        assert_eq!((rows[0].response_code, rows[0].attempt), (None, 1), "{url}");
    }
    let counters = || node.webhooks.metrics();
    eventually("all are given up", PATIENCE, || async { counters().failed.get() == cases.len() as u64 }).await;
    assert_eq!(counters().retried.get(), 0, "it would not get better");
}

#[tokio::test]
async fn another_tenant_s_webhook_is_not_found_whatever_is_asked() {
    let node = Node::start(WebhookConfig::default()).await;
    let theirs = node.webhook("http://127.0.0.1:9/").await;
    let nonsense = WebhookInput { retry_count: Some(99), ..WebhookInput::default() };
    let page = Page::first(50);
    let webhooks = &node.webhooks;
    let errors = [
        webhooks.get(&other(), theirs.id).await.expect_err("foreign"),
        webhooks.update(&other(), theirs.id, nonsense).await.expect_err("foreign, before the body"),
        webhooks.delete(&other(), theirs.id).await.expect_err("foreign"),
        webhooks.logs(&other(), theirs.id, &LogFilter::default(), page).await.expect_err("foreign"),
        webhooks.stats(&other(), theirs.id, node.clock.now()).await.expect_err("foreign"),
    ];
    for error in errors {
        assert_eq!(error.code(), ErrorCode::NotFound, "{error}");
    }
    assert_eq!(webhooks.list(&other(), page).await.expect("memory").total, 0);
    assert_eq!(webhooks.get(&tenant(), theirs.id).await.expect("theirs"), theirs);
    assert_eq!(node.matching(&other(), &EventType::CALL_INCOMING), []);
    assert_eq!(node.matching(&tenant(), &EventType::CALL_INCOMING), [theirs.id], "a foreign delete hurts nobody");
}

#[tokio::test]
async fn a_blocked_address_is_refused_with_its_code_and_nothing_is_stored() {
    let node = Node::start(WebhookConfig::default()).await;
    for url in [
        "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/",
        "https://192.168.1.1:8443/x",
        "http://[::ffff:0:10.0.0.1]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://[1::1]/",
        "http://[8000::1]/",
        "http://[2001:470::5efe:10.0.0.1]/",
        "http://[2001:470::200:5efe:10.0.0.1]/",
    ] {
        let input = WebhookInput {
            name: Some("inside".to_owned()),
            url: Some(url.to_owned()),
            events: Some(vec!["*".to_owned()]),
            ..WebhookInput::default()
        };
        let error = node.webhooks.create(&tenant(), input).await.expect_err("blocked");
        assert_eq!(error.code(), ErrorCode::AddressBlocked, "{url}");
        assert!(matches!(&error, WebhookError::Invalid(invalid) if invalid.field == "url"), "{error}");
    }
    assert_eq!(node.webhooks.list(&tenant(), Page::first(10)).await.expect("memory").total, 0);
}

#[tokio::test]
async fn a_tenant_at_its_limit_is_told_the_limit_and_rows_by_hand_beyond_it_are_not_in_force() {
    let node = Node::start(WebhookConfig { max_per_tenant: 2, ..WebhookConfig::default() }).await;
    let input = || WebhookInput {
        name: Some("one more".to_owned()),
        url: Some("http://127.0.0.1:9/".to_owned()),
        events: Some(vec!["*".to_owned()]),
        ..WebhookInput::default()
    };
    let first = node.webhooks.create(&tenant(), input()).await.expect("the first");
    let second = node.webhooks.create(&tenant(), input()).await.expect("the second");
    let error = node.webhooks.create(&tenant(), input()).await.expect_err("the third");
    assert_eq!((error.code(), error.retry()), (ErrorCode::Conflict, hookswitch_protocol::Retry::Never));
    assert!(error.to_string().contains("limit of 2 webhooks"), "{error}");
    node.webhooks.create(&other(), input()).await.expect("another tenant");
    let by_hand = NewWebhook {
        name: "by hand".to_owned(),
        url: "http://127.0.0.1:9/".to_owned(),
        events: vec!["call.ended".to_owned()],
        secret: None,
        retry_count: 3,
        timeout_secs: 30,
        options: WebhookOptions::default(),
    };
    let third = node.seams.directory.create(&tenant(), by_hand).await.expect("memory").id;
    node.webhooks.delete(&tenant(), first.id).await.expect("theirs");
    let matching = || node.matching(&tenant(), &EventType::CALL_ENDED);
    eventually("a place came free for it", PATIENCE, || async { matching() == [second.id, third] }).await;
}

#[tokio::test]
async fn what_waits_to_be_sent_is_sent_as_the_webhook_is_now() {
    let (old, new) = (Receiver::start([Behaviour::status(500)]).await, Receiver::healthy().await);
    // Opens at the tenth failure, for longer than the test takes.
    let breaker = BreakerRule { min_attempts: 10, ..BreakerRule::default() };
    let node = Node::start(WebhookConfig { breaker, ..WebhookConfig::default() }).await;
    let webhook = node.webhook(&old.url("/")).await;
    node.publish(50).await;
    let state = || node.webhooks.breaker(webhook.id);
    eventually("it opens", PATIENCE, || async { matches!(state(), BreakerState::Open { .. }) }).await;
    let moved = WebhookInput { url: Some(new.url("/")), ..WebhookInput::default() };
    let changed = node.webhooks.update(&tenant(), webhook.id, moved).await.expect("theirs");
    assert_eq!(changed.health.n_failures, 0, "another receiver");
    eventually("all are delivered", PATIENCE, || async { node.webhooks.metrics().delivered.get() == 50 }).await;
    assert_eq!((state(), new.count()), (BreakerState::Closed, 50));
}
