//! How many deliveries a second leave one process, with the memory keeper, and with a receiver in the
//! same process: `cargo run --release -p hookswitch-webhooks --example delivery_speed [deliveries] [webhooks]`.

use std::time::Duration;

use bytes::Bytes;
use hookswitch_protocol::{EventId, EventType, NodeId, Secret, TenantId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_testkit::{HostileReceiver, Step, eventually};
use hookswitch_webhooks::{AddressPolicy, DutyTarget, NewDuty, WebhookConfig, WebhookInput, WebhookSeams, Webhooks};
use tokio::time::Instant;

/// As many duties as one publisher's batch may hold.
const BATCH: usize = 500;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example speaks to its reader")]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let n_deliveries = arguments.next().transpose()?.unwrap_or(50_000);
    let n_webhooks = arguments.next().transpose()?.unwrap_or(50);
    let answer = Step::send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let receiver = HostileReceiver::start([Step::Read, answer]).await;
    let (clock, scope, tenant) = (Clock::system(), Scope::root("example"), TenantId::parse("tenant-1")?);
    let policy = AddressPolicy::strict().allow_http().allow_cidrs("127.0.0.0/8")?;
    let (seams, node) = (WebhookSeams::memory(&clock), NodeId::generate(clock.now()));
    let config = WebhookConfig::default();
    let webhooks = Webhooks::start(config, policy, seams, node, clock.clone(), scope.clone()).await?;
    let mut ids = Vec::new();
    for i in 0..n_webhooks {
        ids.push(webhooks.create(&tenant, registration(i, &receiver)).await?.id);
    }
    let began = Instant::now();
    for start in (0..n_deliveries).step_by(BATCH) {
        let duty = |i: usize| NewDuty {
            tenant: tenant.clone(),
            event_id: EventId::generate(clock.now()),
            event_type: EventType::CALL_INCOMING,
            body: Bytes::from_static(&[b' '; 400]),
            accepted_at: clock.now(),
            targets: vec![DutyTarget::new(ids[i % ids.len()])],
            fingerprint: None,
        };
        webhooks.enqueue((start..n_deliveries.min(start + BATCH)).map(duty).collect()).await?;
    }
    let is_done = || async { webhooks.counters().delivered >= n_deliveries as u64 };
    eventually("everything is delivered", Duration::from_mins(2), is_done).await;
    let took = began.elapsed();
    println!(
        "{n_deliveries} deliveries to {n_webhooks} webhooks over {} connections in {took:.2?}: {:.0} a second",
        receiver.n_connections(),
        n_deliveries as f64 / took.as_secs_f64()
    );
    scope.shut_down(Duration::from_secs(1)).await;
    Ok(())
}

fn registration(i: usize, receiver: &HostileReceiver) -> WebhookInput {
    WebhookInput {
        name: Some(format!("webhook {i}")),
        url: Some(receiver.url("/")),
        events: Some(vec!["call.*".to_owned()]),
        secret: Some(Secret::new("shared secret")),
        ..WebhookInput::default()
    }
}
