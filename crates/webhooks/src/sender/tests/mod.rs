//! The client against real sockets: good receivers, and those that break every rule.

mod hostile;
mod keep_alive;
mod proxy;
mod timings;
mod tls;
mod verifiers;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hookswitch_protocol::{DeliveryId, EventType, Secret, TenantId, Timestamp, WebhookId};

use super::{AttemptRequest, Sender};
use crate::directory::{NewWebhook, Webhook};
use crate::guard::{AddressPolicy, Guard, NameResolver};
use crate::options::WebhookOptions;
use crate::outcome::AttemptOutcome;
use crate::seam::BoxFuture;

const NOW: Timestamp = Timestamp::from_millis(1_729_866_000_000);

/// The name under which the tests' receivers are known to [`Here`].
const NAME: &str = "crm.test";

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

/// Knows every name, always under the same addresses.
struct Here(Vec<IpAddr>);

impl NameResolver for Here {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// Http and loopback are allowed, and every name is at these addresses.
fn policy(addresses: &[&str]) -> AddressPolicy {
    let here = Here(addresses.iter().map(|text| text.parse().expect(text)).collect());
    let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8").expect("legal");
    policy.resolve_with(Arc::new(here))
}

fn sender() -> Sender {
    sender_with(policy(&["127.0.0.1"]))
}

fn sender_with(policy: AddressPolicy) -> Sender {
    Sender::new(&Guard::new(policy), 10)
}

/// Has time enough on a busy machine.
async fn attempt(sender: &Sender, url: &str) -> AttemptOutcome {
    attempt_to(sender, &webhook_to(url)).await
}

/// Gives up after a second.
async fn attempt_briefly(sender: &Sender, url: &str) -> AttemptOutcome {
    attempt_to(sender, &Webhook { timeout_secs: 1, ..webhook_to(url) }).await
}

async fn attempt_to(sender: &Sender, webhook: &Webhook) -> AttemptOutcome {
    let request = AttemptRequest {
        webhook,
        delivery: &DeliveryId::generate(NOW),
        event_type: &EventType::CALL_INCOMING,
        attempt: 1,
        body: Bytes::from_static(b"{\"event\":\"call.incoming\",\"timestamp\":1729866000,\"data\":{}}"),
        now: NOW,
    };
    sender.send(request).await
}

/// Status and error of an outcome; the error as the log has it.
fn told(outcome: &AttemptOutcome) -> (Option<u16>, String) {
    (outcome.status, outcome.failure.map(|failure| failure.to_string()).unwrap_or_default())
}
