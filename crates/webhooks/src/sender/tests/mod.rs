//! Attempts against real receivers.

mod verifiers;

use std::time::Duration;

use bytes::Bytes;
use hookswitch_egress::{AddressGuard, AddressPolicy};
use hookswitch_protocol::{DeliveryId, EventType, Secret, TenantId, Timestamp, WebhookId};
use hookswitch_testkit::{Behaviour, HostileReceiver, NameAnswer, NameServer, Receiver, Step};

use super::{AttemptRequest, Sender};
use crate::options::WebhookOptions;
use crate::seams::directory::{NewWebhook, Webhook};
use crate::sender::AttemptOutcome;

const NOW: Timestamp = Timestamp::from_millis(1_729_866_000_000);

/// A registration as good as any.
pub(super) fn webhook_to(url: &str) -> Webhook {
    let new = NewWebhook {
        name: "x".to_owned(),
        url: url.to_owned(),
        events: Vec::new(),
        secret: Some(Secret::new("shared")),
        retry_count: 3,
        timeout_secs: 10,
        options: WebhookOptions::default(),
    };
    Webhook::new(WebhookId(42), TenantId::parse("tenant-1").expect("legal"), new, NOW)
}

/// Http and loopback are allowed.
fn sender() -> Sender {
    let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal");
    Sender::new(&AddressGuard::new(policy), 10)
}

async fn attempt(sender: &Sender, url: &str) -> AttemptOutcome {
    let request = AttemptRequest {
        webhook: &webhook_to(url),
        delivery: &DeliveryId::generate(NOW),
        event_type: &EventType::CALL_INCOMING,
        attempt: 1,
        body: Bytes::from_static(b"{\"event\":\"call.incoming\",\"timestamp\":1729866000,\"data\":{}}"),
        now: NOW,
    };
    sender.send(request).await
}

#[tokio::test]
async fn the_wish_to_wait_is_read_whatever_the_status() {
    for (status, value, wanted) in [
        (503, "30", Some(30)),
        (429, "Fri, 25 Oct 2024 14:21:00 GMT", Some(60)),
        (200, "0", Some(0)),
        (503, "soon", None),
    ] {
        let header = ("retry-after".to_owned(), value.to_owned());
        let receiver = Receiver::start([Behaviour::Answer { status, body: String::new(), header }]).await;
        let outcome = attempt(&sender(), &receiver.url("/")).await;
        assert_eq!((outcome.status, outcome.retry_after), (Some(status), wanted.map(Duration::from_secs)), "{value}");
    }
}

/// The receiver reads the second request and closes: for us the same as a close that was under way
/// when we sent.
#[tokio::test]
async fn what_a_closed_connection_did_not_answer_goes_out_again_as_the_same_attempt() {
    let ok = Step::send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let receiver = HostileReceiver::start([Step::Read, ok, Step::Read, Step::Close]).await;
    let sender = sender();
    for _ in 0..2 {
        let outcome = attempt(&sender, &receiver.url("/")).await;
        assert_eq!((outcome.status, outcome.failure), (Some(200), None));
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3, "sent again");
    assert_eq!(requests[1].delivery_id(), requests[2].delivery_id(), "as the same delivery");
    assert_eq!(requests[1].header("x-webhook-attempt"), requests[2].header("x-webhook-attempt"));
}

#[tokio::test]
async fn little_of_an_answer_is_kept_for_the_log() {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n{}", "\0".repeat(40_000));
    let receiver = HostileReceiver::start([Step::Read, Step::send(&answer)]).await;
    let outcome = attempt(&sender(), &receiver.url("/")).await;
    assert_eq!(outcome.body, Some("\u{FFFD}".repeat(4_096)));
}

#[tokio::test]
async fn an_outage_of_ours_is_told_apart_from_what_a_receiver_does() {
    let names = NameServer::start().await;
    names.says("failing.test", NameAnswer::Failure);
    names.says("unknown.test", NameAnswer::NoSuchName);
    names.says("closed.test", NameAnswer::at("127.0.0.1"));
    names.says("inside.test", NameAnswer::at("10.0.0.1"));
    let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal");
    let policy = policy.ask_name_servers(&names.addr()).expect("an address");
    let direct = Sender::new(&AddressGuard::new(policy.clone()), 10);
    // Nobody listens on this port, neither as a receiver nor as a proxy.
    let gone = "127.0.0.1:1";
    let proxied = policy.via_proxy(&format!("http://{gone}")).expect("legal");
    let proxied = Sender::new(&AddressGuard::new(proxied), 10);
    for (sender, url, is_ours, is_worth_retrying) in [
        (&direct, "http://failing.test/", true, true),
        (&direct, "http://unknown.test/", false, true),
        (&direct, "http://closed.test:1/", false, true),
        (&direct, "http://inside.test/", false, true),
        (&direct, "http://10.0.0.1/", false, false),
        (&proxied, "http://8.8.8.8/", true, true),
    ] {
        let outcome = attempt(sender, url).await;
        assert_eq!((outcome.is_ours, outcome.is_worth_retrying()), (is_ours, is_worth_retrying), "{url}: {outcome:?}");
    }
}
