//! Sends attempts: each a signed POST of the delivery's body through the guarded client.

mod headers;
mod outage_log;
mod outcome;
mod request;
mod retry_after;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookswitch_egress::{AddressGuard, Client, ClientConfig, ErrorClass, Exchange, Failure, Target};
use http::{Method, Request};
use tokio::time::Instant;

use crate::rules::TIMEOUT_SECS;
use headers::Extras;
use outage_log::OutageLog;
pub(crate) use outcome::AttemptOutcome;
pub(crate) use request::AttemptRequest;

/// At least so many unused connections to one host are kept, however few one webhook may use at
/// once: many webhooks of many tenants lead to the same few services, and a connection that is closed
/// for want of room costs the next delivery a handshake.
const KEPT_PER_HOST: usize = 512;

/// Beyond so many open connections, in use or not, none is kept: webhooks at many hosts would keep one each.
const KEPT_CONNECTIONS: usize = 4_096;

/// Sends attempts. Clones share one connection pool.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    client: Client,
    outages: Arc<OutageLog>,
}

impl Sender {
    /// A client with its own pool, for at most `per_host` requests at once of one webhook.
    pub(crate) fn new(guard: &AddressGuard, per_host: usize) -> Self {
        let idle_per_host = per_host.max(KEPT_PER_HOST);
        let kept_connections = KEPT_CONNECTIONS.max(2 * idle_per_host);
        let config = ClientConfig { idle_per_host, kept_connections, kept_body_bytes: outcome::KEPT_BYTES };
        let client = Client::new(guard, config);
        Self { client, outages: Arc::default() }
    }

    /// Makes one attempt. Cancel safe: dropped, the attempt is cut off and its connection closed.
    pub(crate) async fn send(&self, request: AttemptRequest<'_>) -> AttemptOutcome {
        let extras = Extras::of(request.webhook, request.now);
        self.send_with(&request, &extras).await
    }

    async fn send_with(&self, request: &AttemptRequest<'_>, extras: &Extras<'_>) -> AttemptOutcome {
        let started = Instant::now();
        let limit = request.webhook.timeout_secs.clamp(*TIMEOUT_SECS.start(), *TIMEOUT_SECS.end());
        let exchange = match build(request, extras) {
            Ok(built) => {
                let client = self.client.on_behalf_of(request.webhook.tenant.as_str());
                client.send(built, Duration::from_secs(u64::from(limit))).await
            }
            Err(class) => Exchange { failure: Some(Failure::new(class)), ..Exchange::default() },
        };
        let outcome = AttemptOutcome { took: started.elapsed(), ..AttemptOutcome::of(exchange, request.now) };
        if outcome.is_ours {
            self.outages.tell(request.webhook, outcome.failure);
        }
        outcome
    }
}

fn build(request: &AttemptRequest<'_>, extras: &Extras<'_>) -> Result<Request<Bytes>, ErrorClass> {
    let target = Target::parse(&request.webhook.url).map_err(|_| ErrorClass::InvalidUrl)?;
    let mut built = Request::new(request.body.clone());
    *built.method_mut() = Method::POST;
    *built.uri_mut() = target.uri().clone();
    *built.headers_mut() = headers::headers(request, extras)?;
    Ok(built)
}
