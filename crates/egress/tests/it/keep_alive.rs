//! Connections that are kept, and receivers that end them at the worst moment.

use std::time::Duration;

use hookswitch_egress::{AddressGuard, Client, ClientConfig};
use hookswitch_testkit::{HostileReceiver, Step};

use crate::{client, policy, post};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

fn script(steps: impl IntoIterator<Item = Step>) -> Vec<Step> {
    steps.into_iter().collect()
}

#[tokio::test]
async fn a_connection_serves_many_attempts() {
    let receiver = HostileReceiver::start([Step::Read, Step::send(OK)]).await;
    let client = client();
    for _ in 0..5 {
        assert_eq!(post(&client, &receiver.url("/")).await.told(), (Some(200), String::new()));
    }
    assert_eq!((receiver.n_connections(), receiver.requests().len()), (1, 5));
}

#[tokio::test]
async fn a_connection_in_steady_use_is_made_anew_after_five_minutes() {
    let receiver = HostileReceiver::start([Step::Read, Step::send(OK)]).await;
    let client = client();
    for i in 1..=13 {
        assert_eq!(post(&client, &receiver.url("/")).await.told(), (Some(200), String::new()));
        assert_eq!(receiver.n_connections(), if i <= 12 { 1 } else { 2 }, "attempt {i}");
        // Never as long as an unused connection is kept. The clock stands still only between attempts.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(28)).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn one_who_has_many_hosts_keeps_only_his_share_of_connections() {
    let mut receivers = Vec::new();
    for _ in 0..4 {
        receivers.push(HostileReceiver::start([Step::Read, Step::send(OK)]).await);
    }
    let config = ClientConfig { kept_connections: 6, ..ClientConfig::default() };
    let client = Client::new(&AddressGuard::new(policy(&["127.0.0.1"])), config);
    let (many, other) = (client.on_behalf_of("many"), client.on_behalf_of("other"));
    for receiver in receivers.iter().chain(&receivers) {
        assert_eq!(post(&many, &receiver.url("/")).await.told(), (Some(200), String::new()));
    }
    let n_connections: Vec<_> = receivers.iter().map(HostileReceiver::n_connections).collect();
    assert_eq!(n_connections, [1, 1, 1, 2], "three of six are kept, the fourth is made for each request");
    let receiver = HostileReceiver::start([Step::Read, Step::send(OK)]).await;
    for _ in 0..2 {
        assert_eq!(post(&other, &receiver.url("/")).await.told(), (Some(200), String::new()));
    }
    assert_eq!(receiver.n_connections(), 1, "somebody else's first is kept");
}

/// The receiver reads the second request and closes: for us the same as a close that was under way
/// when we sent.
#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_no_post() {
    let receiver = HostileReceiver::start(script([Step::Read, Step::send(OK), Step::Read, Step::Close])).await;
    let client = client();
    assert_eq!(post(&client, &receiver.url("/")).await.told(), (Some(200), String::new()));
    assert_eq!(post(&client, &receiver.url("/")).await.told(), (Some(200), String::new()));
    let requests = receiver.requests();
    assert_eq!((receiver.n_connections(), requests.len()), (2, 3), "sent again, over a new connection");
    assert_eq!((&requests[1].path, &requests[1].body), (&requests[2].path, &requests[2].body), "as the same");
}

#[tokio::test]
async fn a_new_connection_that_is_closed_is_a_failed_post() {
    let receiver = HostileReceiver::start([Step::Read, Step::Close]).await;
    let outcome = post(&client(), &receiver.url("/")).await;
    assert!(outcome.told().1.starts_with("connection_reset") && outcome.is_worth_retrying());
    assert_eq!(receiver.n_connections(), 1);
}

#[tokio::test]
async fn a_reset_under_way_is_a_failed_attempt_also_on_a_kept_connection() {
    let receiver = HostileReceiver::start(script([Step::Read, Step::send(OK), Step::Read, Step::Reset])).await;
    let client = client();
    assert_eq!(post(&client, &receiver.url("/")).await.told(), (Some(200), String::new()));
    let outcome = post(&client, &receiver.url("/")).await;
    assert!(outcome.told().1.starts_with("connection_reset") && outcome.is_worth_retrying());
    assert_eq!(receiver.requests().len(), 2, "the receiver may have acted on it");
}

/// Closed right after each answer, without saying so: whether we notice before the next request or
/// after it, every attempt succeeds.
#[tokio::test]
async fn receivers_that_close_after_each_answer_lose_nothing() {
    let receiver = HostileReceiver::start(script([Step::Read, Step::send(OK), Step::Close])).await;
    let client = client();
    for i in 0..200 {
        assert_eq!(post(&client, &receiver.url("/")).await.told(), (Some(200), String::new()), "attempt {i}");
    }
}
