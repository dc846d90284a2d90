//! The client against real sockets: good servers, and those that break every rule.

mod connecting;
mod heads;
mod hostile;
mod keep_alive;
mod names;
mod proxy;
mod timings;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_egress::{
    AddressGuard, AddressPolicy, Client, ClientConfig, Exchange, NameResolver, Resolving, Target, Timings,
};
use hookswitch_testkit::{Behaviour, Receiver};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request};
use tokio::time::Instant;

/// The name under which the tests' servers are known to [`Here`].
const NAME: &str = "crm.test";

/// What is kept of a body.
const KEPT_BYTES: usize = 4 * 1024;

/// Knows every name, always under the same addresses.
struct Here(Vec<IpAddr>);

impl NameResolver for Here {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// Http and loopback are allowed, and every name is at these addresses.
fn policy(addresses: &[&str]) -> AddressPolicy {
    let here = Here(addresses.iter().map(|text| text.parse().expect(text)).collect());
    let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal");
    policy.resolve_with(Arc::new(here))
}

fn client() -> Client {
    client_with(policy(&["127.0.0.1"]))
}

fn client_with(policy: AddressPolicy) -> Client {
    let config = ClientConfig { kept_body_bytes: KEPT_BYTES, ..ClientConfig::default() };
    Client::new(&AddressGuard::new(policy), config)
}

/// How a request ended, as the tests look at it.
#[derive(Debug)]
struct Outcome {
    exchange: Exchange,
    took: Duration,
}

impl Outcome {
    /// Status and error.
    fn told(&self) -> (Option<u16>, String) {
        let status = self.exchange.head.as_ref().map(|head| head.status.as_u16());
        (status, self.exchange.failure.map(|failure| failure.to_string()).unwrap_or_default())
    }

    fn timings(&self) -> Timings {
        self.exchange.timings
    }

    fn is_worth_retrying(&self) -> bool {
        self.exchange.failure.is_some_and(|failure| failure.is_worth_retrying())
    }

    fn is_ours(&self) -> bool {
        self.exchange.failure.is_some_and(|failure| failure.is_ours())
    }
}

/// Has time enough on a busy machine.
async fn post(client: &Client, url: &str) -> Outcome {
    post_within(client, url, Duration::from_secs(10)).await
}

/// Gives up after a second.
async fn post_briefly(client: &Client, url: &str) -> Outcome {
    post_within(client, url, Duration::from_secs(1)).await
}

async fn post_within(client: &Client, url: &str, timeout: Duration) -> Outcome {
    let started = Instant::now();
    let mut request = Request::new(Bytes::from_static(b"{\"event\":\"call.incoming\",\"timestamp\":1729866000}"));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Target::parse(url).expect(url).uri().clone();
    let exchange = client.send(request, timeout).await;
    Outcome { exchange, took: started.elapsed() }
}

#[tokio::test]
async fn a_get_has_the_answer_s_head_and_the_start_of_its_body() {
    let header = ("retry-after".to_owned(), "30".to_owned());
    let receiver = Receiver::start([Behaviour::Answer { status: 503, body: "later".to_owned(), header }]).await;
    let target = Target::parse(&receiver.url("/keys?x=1#y")).expect("legal");
    let request = Request::get(target.uri()).header(CONTENT_TYPE, "text/plain").body(Bytes::new()).expect("legal");
    let exchange = client().send(request, Duration::from_secs(10)).await;
    let head = exchange.head.expect("an answer");
    assert_eq!((head.status.as_u16(), head.headers[RETRY_AFTER].to_str().expect("text")), (503, "30"));
    assert_eq!((exchange.body, exchange.failure), (Bytes::from_static(b"later"), None));
    let seen = receiver.requests().remove(0);
    assert_eq!((seen.path.as_str(), seen.body.len()), ("/keys?x=1", 0));
    assert!(seen.headers.iter().any(|(name, _)| name == "Content-Type"), "{:?}", seen.headers);
}
