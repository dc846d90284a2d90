//! One bad receiver does not hold up the others.

use std::time::Duration;

use hookswitch_protocol::{TenantId, WebhookId};
use hookswitch_testkit::{Behaviour, PATIENCE, Receiver, eventually};
use hookswitch_webhooks::{BreakerRule, WebhookConfig, WebhookError, WebhookInput};
use tokio::time::Instant;

use crate::node::Node;

/// Far below the 30 s a silent receiver is waited for, far above what a busy machine needs.
const PROMPT: Duration = Duration::from_secs(2);

/// The time from publishing to arrival of one event.
async fn delay(node: &Node, receiver: &Receiver, webhook: hookswitch_protocol::WebhookId) -> Duration {
    let (published, n) = (Instant::now(), receiver.count());
    node.publish_to(&[webhook], 1).await;
    receiver.wait_for(n + 1).await[n].at - published
}

#[tokio::test]
async fn a_receiver_that_never_answers_occupies_only_its_own_slots() {
    let (silent, healthy) = (Receiver::start([Behaviour::Hang]).await, Receiver::healthy().await);
    let config = WebhookConfig { concurrency: 64, per_webhook: 10, ..WebhookConfig::default() };
    let node = Node::start(config).await;
    let (dead, alive) = (node.webhook(&silent.url("/")).await, node.webhook(&healthy.url("/")).await);
    node.publish_to(&[dead.id], 200).await;
    eventually("the dead one holds its slots", PATIENCE, || async { silent.count() == 10 }).await;
    for _ in 0..20 {
        let delay = delay(&node, &healthy, alive.id).await;
        assert!(delay < PROMPT, "{delay:?}");
    }
    eventually("only the dead ones run", PATIENCE, || async { node.webhooks.in_flight() == 10 }).await;
    assert_eq!(silent.count(), 10);
}

#[tokio::test]
async fn many_retries_of_a_failing_receiver_do_not_delay_first_attempts() {
    let (failing, healthy) = (Receiver::start([Behaviour::status(500)]).await, Receiver::healthy().await);
    // Without a breaker, which would end the flood before it begins.
    let breaker = BreakerRule { min_attempts: u32::MAX, ..BreakerRule::default() };
    let config = WebhookConfig { concurrency: 8, per_webhook: 4, breaker, ..WebhookConfig::default() };
    let node = Node::start(config).await;
    let (bad, good) = (node.webhook(&failing.url("/")).await, node.webhook(&healthy.url("/")).await);
    node.publish_to(&[bad.id], 300).await;
    // Their first retries come due after two seconds, all at once.
    eventually("the retries run", PATIENCE, || async { failing.count() > 310 }).await;
    failing.now([Behaviour::Hang]);
    let waiting = failing.count();
    eventually("retries hang", PATIENCE, || async { failing.count() > waiting }).await;
    for _ in 0..10 {
        let delay = delay(&node, &healthy, good.id).await;
        assert!(delay < PROMPT, "{delay:?}");
    }
}

#[tokio::test]
async fn a_silent_receiver_times_out_and_is_logged_so() {
    let silent = Receiver::start([Behaviour::Hang]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let input = hookswitch_webhooks::WebhookInput {
        timeout: Some(1),
        retry_count: Some(0),
        ..hookswitch_webhooks::WebhookInput::default()
    };
    let webhook = node.webhook_with(&silent.url("/"), input).await;
    node.publish(1).await;
    let rows = node.rows_when(webhook.id, 1).await;
    assert_eq!(rows[0].error.as_deref(), Some("timeout: not done within the time limit"));
    assert_eq!((rows[0].response_code, &rows[0].response_body), (None, &None));
    assert!((1_000..10_000).contains(&rows[0].duration_ms), "{} ms", rows[0].duration_ms);
}

/// Rounds of one event for every webhook: slow enough that a debug build has time to spare.
const ROUNDS: usize = 60;

/// The 99th percentile of the time from publishing to the first attempt, over rounds of one event for
/// each of these webhooks; only the arrivals at `watched` count.
async fn p99(node: &Node, webhooks: &[hookswitch_protocol::WebhookId], watched: &[Receiver]) -> Duration {
    let before: Vec<usize> = watched.iter().map(Receiver::count).collect();
    let mut published = Vec::new();
    let mut rounds = tokio::time::interval(Duration::from_millis(40));
    for _ in 0..ROUNDS {
        rounds.tick().await;
        published.push(Instant::now());
        node.publish_to(webhooks, 1).await;
    }
    let mut delays = Vec::new();
    for (receiver, before) in watched.iter().zip(before) {
        let arrived = receiver.wait_for(before + ROUNDS).await;
        let arrived = arrived[before..].iter().map(|request| request.at);
        // In order, for each has ten slots and answers at once.
        delays.extend(arrived.zip(&published).map(|(at, published)| at.saturating_duration_since(*published)));
    }
    delays.sort_unstable();
    delays[delays.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_silent_receivers_of_twenty_do_not_slow_down_the_others() {
    let config = WebhookConfig { concurrency: 64, ..WebhookConfig::default() };
    let node = Node::start(config).await;
    let (mut silent, mut healthy, mut webhooks) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..20 {
        let receiver = Receiver::healthy().await;
        webhooks.push(node.webhook(&receiver.url("/")).await.id);
        if i < 5 { silent.push(receiver) } else { healthy.push(receiver) }
    }
    p99(&node, &webhooks, &healthy).await;
    let all_well = p99(&node, &webhooks, &healthy).await;
    for receiver in &silent {
        receiver.now([Behaviour::Hang]);
    }
    let with_silent = p99(&node, &webhooks, &healthy).await;
    let held = node.webhooks.in_flight();
    assert!((5..=50).contains(&held), "the silent five hold {held} of 64 slots");
    // A busy machine adds some milliseconds to either run; a receiver that is waited for adds 30 s.
    let most = all_well * 3 / 2 + Duration::from_millis(25);
    assert!(with_silent <= most, "{with_silent:?} beside silent receivers, {all_well:?} without");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_full_of_silent_receivers_does_not_delay_its_neighbour() {
    let (silent, healthy) = (Receiver::start([Behaviour::Hang]).await, Receiver::healthy().await);
    let node = Node::start(WebhookConfig { concurrency: 64, ..WebhookConfig::default() }).await;
    let quiet = TenantId::parse("neighbour").expect("legal");
    let input = WebhookInput {
        name: Some("quiet".to_owned()),
        url: Some(healthy.url("/")),
        events: Some(vec!["call.*".to_owned()]),
        ..WebhookInput::default()
    };
    let alive = node.webhooks.create(&quiet, input).await.expect("good").id;
    let mut alone = Vec::new();
    for _ in 0..20 {
        alone.push(delay_of(&node, &healthy, &quiet, alive).await);
    }
    let mut dead = Vec::new();
    for _ in 0..60 {
        dead.push(node.webhook(&silent.url("/")).await.id);
    }
    node.publish_to(&dead, 3).await;
    eventually("they hold all they may", PATIENCE, || async { silent.count() >= 30 }).await;
    let mut beside = Vec::new();
    for _ in 0..20 {
        beside.push(delay_of(&node, &healthy, &quiet, alive).await);
    }
    assert!(node.webhooks.in_flight() <= 32, "{} of 64 slots", node.webhooks.in_flight());
    alone.sort_unstable();
    beside.sort_unstable();
    // It was as long as the silent ones were waited for.
    let most = alone[10] * 3 / 2 + Duration::from_millis(25);
    assert!(beside[10] <= most && beside[19] < PROMPT, "{beside:?} beside, {alone:?} without");
}

async fn delay_of(node: &Node, receiver: &Receiver, of: &TenantId, webhook: WebhookId) -> Duration {
    let (published, n) = (Instant::now(), receiver.count());
    node.publish_as(of, &[webhook], 1).await;
    receiver.wait_for(n + 1).await[n].at - published
}

#[tokio::test]
async fn one_tenant_s_tests_leave_room_for_another_s() {
    let silent = Receiver::start([Behaviour::Hang]).await;
    let node = Node::start(WebhookConfig::default()).await;
    let webhook = node.webhook(&silent.url("/")).await.id;
    let mut tests = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let webhooks = node.webhooks.clone();
        tests.spawn(async move { webhooks.test(&crate::node::tenant(), webhook).await });
    }
    silent.wait_for(16).await;
    for _ in 0..24 {
        let refused =
            tests.join_next().await.expect("refused").expect("no panic").expect_err("half of all are running");
        assert!(matches!(refused, WebhookError::TooManyTests), "{refused}");
    }
    let healthy = Receiver::healthy().await;
    let other = TenantId::parse("neighbour").expect("legal");
    let input = WebhookInput {
        name: Some("quiet".to_owned()),
        url: Some(healthy.url("/")),
        events: Some(vec!["call.*".to_owned()]),
        ..WebhookInput::default()
    };
    let quiet = node.webhooks.create(&other, input).await.expect("good").id;
    assert_eq!(node.webhooks.test(&other, quiet).await.expect("room").response_code, Some(200));
}
