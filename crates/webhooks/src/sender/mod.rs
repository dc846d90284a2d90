//! The one client for everything outgoing: deliveries, tests, anything.
//!
//! It follows no redirects, knows no proxy but the configured one, asks for no compression, and gives
//! every attempt one deadline over connecting, TLS, headers and body.

mod exchange;
mod failure;
mod headers;
mod retry_after;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use hookswitch_protocol::{DeliveryId, EventType, Timestamp};

use crate::directory::Webhook;
use crate::guard::{Guard, GuardedConnector, Target, guarded_connector};
use crate::outcome::{AttemptOutcome, ErrorClass, Failure};
use exchange::{Exchange, READ_BYTES};
use headers::Extras;

/// How long an unused connection is kept for the next delivery to its host.
const IDLE: Duration = Duration::from_secs(30);

/// At least so many unused connections to one host are kept, however few one webhook may use at
/// once: many webhooks of many tenants lead to the same few services, and a connection that is closed
/// for want of room costs the next delivery a handshake.
const KEPT_PER_HOST: usize = 512;

/// The limits of `timeout`, in seconds, also for rows inserted by hand.
pub(crate) const TIMEOUT_SECS: std::ops::RangeInclusive<u32> = 1..=120;

/// One attempt to make.
#[derive(Debug)]
pub(crate) struct AttemptRequest<'a> {
    pub(crate) webhook: &'a Webhook,
    pub(crate) delivery: &'a DeliveryId,
    pub(crate) event_type: &'a EventType,
    pub(crate) attempt: u32,
    pub(crate) body: Bytes,
    pub(crate) now: Timestamp,
}

type Pool = Client<GuardedConnector, Full<Bytes>>;

/// Sends attempts. Clones share one connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pooled: Pool,
    /// Keeps no connection, so what it sends goes over a new one.
    fresh: Pool,
}

impl Sender {
    /// A client with its own pool, for at most `per_host` requests at once of one webhook.
    pub(crate) fn new(guard: &Guard, per_host: usize) -> Self {
        let connector = guarded_connector(guard);
        Self { pooled: pool(connector.clone(), per_host.max(KEPT_PER_HOST)), fresh: pool(connector, 0) }
    }

    /// Makes one attempt. Cancel safe: dropped, the attempt is cut off and its connection closed.
    pub(crate) async fn send(&self, request: AttemptRequest<'_>) -> AttemptOutcome {
        let extras = Extras::of(request.webhook, request.now);
        self.send_with(&request, &extras).await
    }

    async fn send_with(&self, request: &AttemptRequest<'_>, extras: &Extras<'_>) -> AttemptOutcome {
        let started = Instant::now();
        let limit = request.webhook.timeout_secs.clamp(*TIMEOUT_SECS.start(), *TIMEOUT_SECS.end());
        let deadline = started + Duration::from_secs(u64::from(limit));
        let exchange = Exchange { deadline, now: request.now };
        let mut outcome = match build(request, extras) {
            Ok(built) => {
                let ended = exchange.run(&self.pooled, built).await;
                if ended.is_stale {
                    // The receiver had closed a connection we kept, which is nobody's failure: the
                    // request goes out again, under the same delivery id and the same deadline.
                    let built = build(request, extras).expect("it could be built a moment ago");
                    exchange.run(&self.fresh, built).await.outcome
                } else {
                    ended.outcome
                }
            }
            Err(class) => AttemptOutcome { failure: Some(Failure::new(class)), ..AttemptOutcome::default() },
        };
        outcome.took = started.elapsed();
        outcome
    }
}

fn pool(connector: GuardedConnector, per_host: usize) -> Pool {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(per_host)
        // The header names of the contract, as the prototype wrote them.
        .http1_title_case_headers(true)
        .http1_max_buf_size(READ_BYTES)
        .build(connector)
}

fn build(request: &AttemptRequest<'_>, extras: &Extras<'_>) -> Result<Request<Full<Bytes>>, ErrorClass> {
    let target = Target::parse(&request.webhook.url).map_err(|_| ErrorClass::InvalidUrl)?;
    let headers = headers::headers(request, extras)?;
    let mut built = Request::new(Full::new(request.body.clone()));
    *built.method_mut() = Method::POST;
    *built.uri_mut() = target.uri;
    *built.headers_mut() = headers;
    Ok(built)
}
