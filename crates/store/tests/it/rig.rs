//! A store in a directory of its own, and an operator with a connection of his own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query, sql_types};
use hookswitch_hub::OfflineLimits;
use hookswitch_protocol::{DeliveryId, EventId, EventType, NodeId, TenantId, Timestamp, WebhookId};
use hookswitch_runtime::{Clock, Scope};
use hookswitch_store::{Store, StoreConfig, StoreError};
use hookswitch_webhooks::{
    AttemptRow, Attempted, DeliveryTarget, Disposition, LEASE_BYTES, LeaseRequest, LeaseWish, LeasedDelivery,
    NewDeliveries, NewWebhook, Page, Sweep, Timings, WebhookOptions,
};
use tempfile::TempDir;

pub(crate) const FIRST_PAGE: Page = Page::first(100);

/// A place for one database.
pub(crate) struct Rig {
    directory: TempDir,
}

/// An open store with the scope it lives in.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) scope: Scope,
}

impl Opened {
    /// Closes it properly.
    pub(crate) async fn close(self) {
        assert!(self.scope.shut_down(Duration::from_secs(10)).await, "the store ends by itself");
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("hookswitch.db")
    }

    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig::new(self.path())
    }

    pub(crate) async fn open(&self) -> Opened {
        open(self.config(), Clock::system()).await.expect("opens")
    }

    /// An operator with the `sqlite3` program.
    pub(crate) fn operator(&self) -> Operator {
        Operator::new(&self.path())
    }
}

pub(crate) async fn open(config: StoreConfig, clock: Clock) -> Result<Opened, StoreError> {
    open_with(config, OfflineLimits::default(), clock).await
}

/// The same with these bounds of offline messages.
pub(crate) async fn open_with(config: StoreConfig, offline: OfflineLimits, clock: Clock) -> Result<Opened, StoreError> {
    let scope = Scope::root("store");
    let store = Store::open(config, offline, clock, &scope).await?;
    Ok(Opened { store, scope })
}

#[derive(QueryableByName)]
struct Text {
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    value: Option<String>,
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = sql_types::Text)]
    detail: String,
}

/// Says SQL by hand.
pub(crate) struct Operator(SqliteConnection);

impl Operator {
    fn new(path: &Path) -> Self {
        let mut conn = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("opens");
        conn.batch_execute("PRAGMA busy_timeout = 5000").expect("sets");
        Self(conn)
    }

    pub(crate) fn run(&mut self, sql: &str) {
        self.0.batch_execute(sql).expect(sql);
    }

    /// The one value of a query whose column is named `value`, as text.
    pub(crate) fn value(&mut self, sql: &str) -> String {
        let row: Text = sql_query(sql).get_result(&mut self.0).expect(sql);
        row.value.unwrap_or_else(|| "NULL".to_owned())
    }

    /// The steps by which SQLite would run a statement.
    pub(crate) fn plan(&mut self, sql: &str) -> Vec<String> {
        let steps: Vec<Step> = sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(&mut self.0).expect(sql);
        steps.into_iter().map(|step| step.detail).collect()
    }

    /// The values of a query whose column is named `value`, as text.
    pub(crate) fn values(&mut self, sql: &str) -> Vec<String> {
        let rows: Vec<Text> = sql_query(sql).load(&mut self.0).expect(sql);
        rows.into_iter().map(|row| row.value.unwrap_or_else(|| "NULL".to_owned())).collect()
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("tenant-123").expect("legal")
}

pub(crate) fn node() -> NodeId {
    NodeId::parse("node-1").expect("legal")
}

pub(crate) fn now() -> Timestamp {
    Clock::system().now()
}

pub(crate) fn webhook(name: &str) -> NewWebhook {
    NewWebhook {
        name: name.to_owned(),
        url: "https://example.com/hook".to_owned(),
        events: vec!["call.*".to_owned()],
        secret: None,
        retry_count: 3,
        timeout_secs: 30,
        options: WebhookOptions::default(),
    }
}

pub(crate) fn duty(id: &str, webhooks: &[WebhookId]) -> NewDeliveries {
    NewDeliveries {
        tenant: tenant(),
        event_id: EventId::parse(id).expect("legal"),
        event_type: EventType::CALL_INCOMING,
        body: Bytes::from(format!(r#"{{"event":"call.incoming","timestamp":1,"data":{{"n":"{id}"}}}}"#)),
        accepted_at: now(),
        targets: webhooks.iter().map(|webhook| DeliveryTarget::new(*webhook)).collect(),
        fingerprint: None,
    }
}

pub(crate) fn wish(webhook: WebhookId, n: u32) -> LeaseRequest {
    LeaseRequest {
        by: node(),
        now: now(),
        hold: Duration::from_mins(1),
        n_bytes: LEASE_BYTES,
        wishes: vec![LeaseWish { webhook, fresh: n, retries: n }],
    }
}

pub(crate) fn sweep(now: Timestamp) -> Sweep {
    Sweep { by: node(), now, dead_after: Duration::from_secs(20) }
}

/// A delivered attempt.
pub(crate) fn attempted(leased: &LeasedDelivery) -> Attempted {
    let row = AttemptRow {
        webhook: leased.webhook.id,
        event_type: EventType::CALL_INCOMING,
        body: leased.body.clone(),
        response_code: Some(200),
        response_body: Some("ok".to_owned()),
        error: None,
        duration_ms: 1,
        attempt: leased.attempt,
        delivery: Some(DeliveryId::parse(leased.delivery.as_str()).expect("legal")),
        timings: Timings::default(),
        at: now(),
    };
    Attempted {
        lease: leased.lease.clone(),
        row,
        disposition: Disposition::Delivered,
        judged: Some(leased.webhook.clone()),
    }
}
