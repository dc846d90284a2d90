//! How many events and deliveries a second a store takes: `cargo run --release -p hookswitch-store --example store_rate`,
//! on SQLite and, with `-- mariadb`, on a MariaDB of its own.
#![expect(clippy::print_stdout, reason = "its result is for people")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use hookswitch_hub::OfflineLimits;
use hookswitch_protocol::{EventId, EventType, NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_store::{MySqlConfig, MySqlStore, Store, StoreConfig};
use hookswitch_testkit::MariaDbSpec;
use hookswitch_webhooks::{
    AttemptRow, Attempted, DeliveryLedger, DeliveryTarget, DisableRule, Disposition, LEASE_BYTES, LeaseRequest,
    LeaseWish, LeasedDelivery, NewDeliveries, NewWebhook, Timings, WebhookDirectory, WebhookOptions,
};
use tokio::time::Instant;

const CALLERS: u64 = 64;
const SPAN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (scope, clock, limits) = (Scope::root("store"), Clock::system(), OfflineLimits::default());
    if std::env::args().nth(1).as_deref() == Some("mariadb") {
        // As durable as in production: a commit is on the disk.
        let server = MariaDbSpec::new().setting("innodb-flush-log-at-trx-commit", "1").start().await;
        let database = server.create_database().await;
        let config = MySqlConfig { migrates: true, ..MySqlConfig::parse_url(&database.url())? };
        let store = MySqlStore::open(config, limits, clock.clone(), &scope).await?;
        measure(&store, &clock).await?;
        scope.shut_down(Duration::from_secs(30)).await;
    } else {
        let directory = tempfile::tempdir()?;
        let store =
            Store::open(StoreConfig::new(directory.path().join("rate.db")), limits, clock.clone(), &scope).await?;
        measure(&store, &clock).await?;
        scope.shut_down(Duration::from_secs(30)).await;
    }
    Ok(())
}

async fn measure<S: DeliveryLedger + WebhookDirectory>(store: &S, clock: &Clock) -> Result<(), Box<dyn Error>> {
    let tenant = TenantId::parse("tenant-1")?;
    let new = NewWebhook {
        name: "CRM".to_owned(),
        url: "https://example.com/".to_owned(),
        events: vec!["*".to_owned()],
        secret: None,
        retry_count: 3,
        timeout_secs: 30,
        options: WebhookOptions::default(),
    };
    let webhook = store.create(&tenant, new).await?.id;
    enqueue(store, &tenant, webhook, clock).await?;
    settle(store, webhook, clock).await
}

async fn enqueue(
    store: &impl DeliveryLedger,
    tenant: &TenantId,
    webhook: WebhookId,
    clock: &Clock,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let body =
        Bytes::from(format!(r#"{{"event":"call.incoming","timestamp":1,"data":{{"x":"{}"}}}}"#, "y".repeat(250)));
    let callers = (0..CALLERS).map(|_| async {
        let mut n = 0_u64;
        while start.elapsed() < SPAN {
            let now = clock.now();
            let duty = NewDeliveries {
                tenant: tenant.clone(),
                event_id: EventId::generate(now),
                event_type: EventType::CALL_INCOMING,
                body: body.clone(),
                accepted_at: now,
                targets: vec![DeliveryTarget::new(webhook)],
                fingerprint: None,
            };
            store.enqueue(vec![duty]).await?;
            n += 1;
        }
        Ok::<u64, hookswitch_webhooks::LedgerError>(n)
    });
    let n_events: u64 = try_join_all(callers).await?.into_iter().sum();
    println!("{CALLERS} callers: {:.0} events/s", n_events as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

async fn settle(store: &impl DeliveryLedger, webhook: WebhookId, clock: &Clock) -> Result<(), Box<dyn Error>> {
    let node = NodeId::parse("node-1")?;
    let start = Instant::now();
    let mut n_settled = 0;
    while start.elapsed() < SPAN {
        let wishes = vec![LeaseWish { webhook, fresh: 100, retries: 0 }];
        let request = LeaseRequest {
            by: node.clone(),
            now: clock.now(),
            hold: Duration::from_mins(1),
            n_bytes: LEASE_BYTES,
            wishes,
        };
        let leased = store.lease(request).await?;
        if leased.is_empty() {
            break;
        }
        n_settled += leased.len();
        let now = clock.now();
        // As from a hundred senders: each settles its own.
        let leased: Arc<[LeasedDelivery]> = leased.into();
        let settled =
            join_all(leased.iter().map(|one| store.finish(vec![attempted(one, now)], DisableRule::default()))).await;
        settled.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    println!("lease 100, settle one by one: {:.0} deliveries/s", n_settled as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

fn attempted(one: &LeasedDelivery, at: Timestamp) -> Attempted {
    let row = AttemptRow {
        webhook: one.webhook.id,
        event_type: one.event_type.clone(),
        body: one.body.clone(),
        response_code: Some(200),
        response_body: Some("ok".to_owned()),
        error: None,
        duration_ms: 12,
        attempt: one.attempt,
        delivery: None,
        timings: Timings::default(),
        at,
    };
    Attempted { lease: one.lease.clone(), row, disposition: Disposition::Delivered, judged: Some(one.webhook.clone()) }
}
