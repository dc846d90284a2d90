//! The address guard on every way out of the building: create, update, test, delivery, redirect, and
//! names whose answers are mixed, change, or are asked for twice.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookswitch_protocol::{ErrorCode, EventType, NodeId, WebhookId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{Behaviour, HostileReceiver, NameAnswer, NameServer, PATIENCE, Receiver, Step, eventually};
use hookswitch_webhooks::{
    AddressPolicy, BoxFuture, NameResolver, NewWebhook, Page, WebhookConfig, WebhookError, WebhookInput, WebhookSeams,
    Webhooks,
};

use crate::node::{Node, loopback, tenant};

/// Spellings of closed addresses that a parser somewhere understands.
const SPELLINGS: &str = "
    127.0.0.1 127.0.0.1. 127.1 127.0.1 127.255.255.255 2130706433 0x7f000001 0x7f.1 0x7f.0x0.0x0.0x1 0X7F.0.0.1
    017700000001 0177.1 0177.0.0.01 00000177.0.0.1 127.0x1 １２７.０.０.１ 127。0。0。1 127．0．0．1 ①②⑦.⓪.⓪.①
    %31%32%37.0.0.1 127.0.0.1%2e 0 0.0.0.0 0x0 00 10.0.0.1 10.1 0xa000001 167772161 012.0.0.1 172.16.0.1
    172.31.255.255 2886729729 192.168.1.1 3232235777 0xc0a80101 192.168.257 169.254.169.254 2852039166 0xa9fea9fe
    0251.0376.0251.0376 169.16689662 100.64.0.1 198.18.0.1 192.0.0.8 192.0.2.1 203.0.113.9 224.0.0.1 240.0.0.1
    255.255.255.255 4294967295 [::] [::1] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [0:0:0:0:0:ffff:a00:1] [::ffff:10.0.0.1] [::FFFF:A9FE:A9FE] [::127.0.0.1] [::a00:1] [64:ff9b::10.0.0.1]
    [64:ff9b::7f00:1] [2002:7f00:1::] [2001:0:4136:e378:8000:63bf:80ff:fffe] [fe80::1] [fc00::1] [fd00:ec2::254]
    [fec0::1] [ff02::1] [2001:db8::1] [3fff::1] [100::1] [5f00::1] [::ffff:0:10.0.0.1] [1::1] [8000::1]
    [2001:470::5efe:10.0.0.1] [2001:470::200:5efe:10.0.0.1]
";

/// Answers of a name server of which at least one is closed; as a name, `n<index>.test`.
const ANSWERS: &[&str] = &[
    "127.0.0.1",
    "10.0.0.1",
    "192.168.0.1",
    "172.20.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
    "255.255.255.255",
    "::1",
    "::",
    "fd00:ec2::254",
    "fe80::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "8.8.8.8 10.0.0.1",
    "10.0.0.1 8.8.8.8",
    "8.8.8.8 1.1.1.1 9.9.9.9 127.0.0.1",
    "2606:4700::1111 ::1",
    "8.8.8.8 ::ffff:192.168.0.1",
    "2606:4700::1111 8.8.8.8 fd00::1",
];

fn addresses(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().map(|one| one.parse().expect(one)).collect()
}

/// Knows `n<index>.test` from [`ANSWERS`] and nothing else.
struct Table;

impl NameResolver for Table {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let index = name.strip_prefix('n').and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        let found = index.map(|index| addresses(ANSWERS[index])).ok_or(io::ErrorKind::NotFound.into());
        Box::pin(std::future::ready(found))
    }
}

/// Gives each answer once, the last one forever, and counts.
#[derive(Default)]
struct Changing {
    answers: Mutex<VecDeque<&'static str>>,
    n_asked: Mutex<usize>,
}

impl Changing {
    fn new(answers: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), n_asked: Mutex::default() })
    }

    fn n_asked(&self) -> usize {
        *self.n_asked.lock().expect("no poison")
    }
}

impl NameResolver for Changing {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        *self.n_asked.lock().expect("no poison") += 1;
        let mut answers = self.answers.lock().expect("no poison");
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() };
        Box::pin(std::future::ready(Ok(addresses(answer.unwrap_or_default()))))
    }
}

async fn node(policy: AddressPolicy) -> Node {
    let (clock, scope, id) = (Clock::system(), Scope::root("test"), NodeId::parse("node-1").expect("legal"));
    let seams = WebhookSeams::memory(&clock);
    let config = WebhookConfig::default();
    let webhooks = Webhooks::start(config, policy, seams.clone(), id, clock.clone(), scope.clone()).await;
    Node { webhooks: webhooks.expect("the keepers answer"), seams, clock, scope }
}

fn input(url: &str) -> WebhookInput {
    WebhookInput {
        name: Some("x".to_owned()),
        url: Some(url.to_owned()),
        events: Some(vec!["call.incoming".to_owned()]),
        ..WebhookInput::default()
    }
}

async fn by_hand(node: &Node, url: &str) -> WebhookId {
    let row = NewWebhook {
        name: "by hand".to_owned(),
        url: url.to_owned(),
        events: vec!["call.incoming".to_owned()],
        secret: None,
        retry_count: 0,
        timeout_secs: 5,
        options: hookswitch_webhooks::WebhookOptions::default(),
    };
    node.seams.directory.create(&tenant(), row).await.expect("memory").id
}

fn assert_blocked(said: Option<&str>, url: &str) {
    let wanted = if url.contains(".test") {
        "address_blocked: the host name leads to an address that is not allowed"
    } else {
        "address_blocked: the destination address is not allowed"
    };
    assert_eq!(said, Some(wanted), "{url}: the reason, and no address");
}

fn assert_refused(error: &WebhookError, url: &str) {
    assert_eq!(error.code(), ErrorCode::AddressBlocked, "{url}: {error}");
    let wanted = "url leads to an address that is not publicly routable and not on the allow list";
    assert_eq!(error.to_string(), wanted, "{url}: the reason, and no address");
}

/// Every spelling and every name, on plain and on TLS ports.
fn closed_urls(port: &str) -> Vec<String> {
    let names = (0..ANSWERS.len()).map(|i| format!("n{i}.test"));
    let hosts: Vec<String> = SPELLINGS.split_whitespace().map(str::to_owned).chain(names).collect();
    assert!(hosts.len() >= 60 + ANSWERS.len(), "{} hosts", hosts.len());
    hosts.iter().flat_map(|host| [format!("http://{host}:{port}/x"), format!("https://{host}/")]).collect()
}

#[tokio::test]
async fn no_spelling_and_no_name_leads_inside_on_any_way_out() {
    let inside = Receiver::healthy().await;
    let port = inside.addr().rsplit(':').next().expect("a port").to_owned();
    let node = node(AddressPolicy::strict().allow_http().resolve_with(Arc::new(Table))).await;
    let good = node.webhooks.create(&tenant(), input("https://8.8.8.8/")).await.expect("public");
    node.webhooks
        .update(&tenant(), good.id, WebhookInput { is_active: Some(false), ..WebhookInput::default() })
        .await
        .expect("theirs");
    let mut rows = Vec::new();
    for url in closed_urls(&port) {
        let error = node.webhooks.create(&tenant(), input(&url)).await.expect_err(&url);
        assert_refused(&error, &url);
        let change = WebhookInput { url: Some(url.clone()), ..WebhookInput::default() };
        let error = node.webhooks.update(&tenant(), good.id, change).await.expect_err(&url);
        assert_refused(&error, &url);
        let id = by_hand(&node, &url).await;
        let report = node.webhooks.test(&tenant(), id).await.expect("theirs");
        assert_eq!(report.response_code, None, "{url}");
        assert_blocked(report.error.as_deref(), &url);
        rows.push((id, url));
    }
    let listed = node.webhooks.list(&tenant(), Page::first(1)).await.expect("memory");
    assert_eq!((listed.total, &*listed.rows[0].url), (rows.len() as u64 + 1, "https://8.8.8.8/"), "nothing was stored");
    let n_matching = || node.matching(&tenant(), &EventType::CALL_INCOMING).len();
    eventually("all rows match", PATIENCE, || async { n_matching() == rows.len() }).await;
    node.publish(1).await;
    for (id, url) in &rows {
        let logged = node.rows_when(*id, 2).await;
        assert_eq!(logged[1].response_code, None, "{url}");
        assert_blocked(logged[1].error.as_deref(), url);
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_wherever_it_points() {
    let inside = Receiver::healthy().await;
    for location in [inside.url("/"), "http://169.254.169.254/latest/meta-data".to_owned(), "//10.0.0.1/".to_owned()] {
        for status in [301, 302, 303, 307, 308] {
            let header = ("location".to_owned(), location.clone());
            let receiver = Receiver::start([Behaviour::Answer { status, body: String::new(), header }]).await;
            let node = Node::start(WebhookConfig::default()).await;
            let webhook = node.webhook(&receiver.url("/")).await;
            node.publish(1).await;
            let logged = node.rows_when(webhook.id, 1).await.remove(0);
            assert_eq!((logged.response_code, logged.error), (Some(status), None), "{location}");
            assert_eq!((receiver.count(), inside.count()), (1, 0), "{location}");
        }
    }
}

#[tokio::test]
async fn a_name_that_turned_inside_is_refused_when_sending() {
    let inside = Receiver::healthy().await;
    let port = inside.addr().rsplit(':').next().expect("a port").to_owned();
    let names = Changing::new(["93.184.216.34", "127.0.0.1"]);
    let node = node(AddressPolicy::strict().allow_http().resolve_with(names.clone())).await;
    let webhook = node.webhooks.create(&tenant(), input(&format!("http://turns.test:{port}/"))).await.expect("public");
    node.publish(1).await;
    let logged = node.rows_when(webhook.id, 1).await.remove(0);
    assert_blocked(logged.error.as_deref(), &webhook.url);
    let report = node.webhooks.test(&tenant(), webhook.id).await.expect("theirs");
    assert_blocked(report.error.as_deref(), &webhook.url);
    assert_eq!((inside.count(), names.n_asked()), (0, 3));
}

/// The judged answer is what is connected to: the second answer, which would be refused, is never asked for.
#[tokio::test]
async fn a_connection_goes_to_the_answer_that_was_judged() {
    let receiver = Receiver::healthy().await;
    let port = receiver.addr().rsplit(':').next().expect("a port").to_owned();
    let names = Changing::new(["127.0.0.1", "127.0.0.1", "10.0.0.1"]);
    let node = node(loopback().resolve_with(names.clone())).await;
    let url = format!("http://rebinds.test:{port}/");
    let webhook = node.webhooks.create(&tenant(), input(&url)).await.expect("allowed");
    let first = node.webhooks.test(&tenant(), webhook.id).await.expect("theirs");
    assert_eq!((first.response_code, names.n_asked()), (Some(200), 2), "once to create, once to connect");
    assert_eq!(receiver.requests()[0].header("host"), Some(&*format!("rebinds.test:{port}")));
    let kept = node.webhooks.test(&tenant(), webhook.id).await.expect("theirs");
    assert_eq!((kept.response_code, names.n_asked()), (Some(200), 2), "a kept connection leads where it led");
}

#[tokio::test]
async fn the_allow_list_opens_names_too_and_no_neighbours() {
    let receiver = Receiver::healthy().await;
    let port = receiver.addr().rsplit(':').next().expect("a port").to_owned();
    for (answer, is_open) in [("127.0.0.1", true), ("127.0.0.1 10.0.0.1", false), ("::1", false), ("", false)] {
        let node = node(loopback().resolve_with(Changing::new([answer]))).await;
        let id = by_hand(&node, &format!("http://listed.test:{port}/")).await;
        let report = node.webhooks.test(&tenant(), id).await.expect("theirs");
        assert_eq!(report.response_code.is_some(), is_open, "{answer}: {report:?}");
        let wanted = if answer.is_empty() { "dns_error" } else { "address_blocked" };
        assert!(is_open || report.error.is_some_and(|error| error.starts_with(wanted)), "{answer}");
    }
    assert_eq!(receiver.count(), 1);
}

/// What a name leads to changes, and a name server may be wrong for a moment: no reason to lose a delivery.
#[tokio::test]
async fn one_forbidden_answer_ends_no_delivery_that_a_broken_wire_would_not_end() {
    let receiver = Receiver::healthy().await;
    let port = receiver.addr().rsplit(':').next().expect("a port").to_owned();
    let node = node(loopback().resolve_with(Changing::new(["127.0.0.1", "127.0.0.1 10.0.0.1", "127.0.0.1"]))).await;
    let url = format!("http://hiccup.test:{port}/");
    let webhook = node.webhooks.create(&tenant(), input(&url)).await.expect("allowed");
    node.publish(1).await;
    let logged = node.rows_when(webhook.id, 2).await;
    assert_blocked(logged[0].error.as_deref(), &url);
    assert_eq!((logged[1].response_code, logged[1].attempt), (Some(200), 2), "{logged:?}");
    assert_eq!(receiver.count(), 1);
}

/// How long a delivery to this webhook takes, the median of some, each over a new connection.
async fn median_delivery(node: &Node, webhook: WebhookId, receiver: &HostileReceiver) -> Duration {
    let mut took = Vec::new();
    for _ in 0..11 {
        let (began, n_before) = (tokio::time::Instant::now(), receiver.requests().len());
        node.publish_to(&[webhook], 1).await;
        eventually("it arrives", PATIENCE, || async { receiver.requests().len() > n_before }).await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took[took.len() / 2]
}

#[tokio::test]
async fn names_that_nobody_answers_for_hold_up_no_other_webhook() {
    let ok = Step::send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let (receiver, names) = (HostileReceiver::start([Step::Read, ok, Step::Close]).await, NameServer::start().await);
    names.says("good.test", NameAnswer::at("127.0.0.1"));
    let node = node(loopback().ask_name_servers(&names.addr()).expect("an address")).await;
    let url = receiver.url("/").replace("127.0.0.1", "good.test");
    let good = by_hand(&node, &url).await;
    let mut silent = Vec::new();
    for i in 0..20 {
        silent.push(by_hand(&node, &format!("http://silent{i}.test/")).await);
    }
    let alone = median_delivery(&node, good, &receiver).await;
    node.publish_to(&silent, 40).await;
    eventually("all their names are asked for", PATIENCE, || async { node.webhooks.n_look_ups() >= 20 }).await;
    let beside = median_delivery(&node, good, &receiver).await;
    assert!(node.webhooks.n_look_ups() >= 20, "they still are");
    assert!(beside < alone.mul_f64(1.5) + Duration::from_millis(200), "{alone:?} alone, {beside:?} beside them");
}
