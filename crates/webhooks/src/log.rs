//! The seam for the attempt log: one row per attempt, the source of all figures.

use bytes::Bytes;
use hookswitch_protocol::{EventType, TenantId, Timestamp, WebhookId};

use crate::directory::{DirectoryError, Listed, Page};
use crate::seam::BoxFuture;

/// One attempt, as it goes into `webhook_logs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Whose attempt it was.
    pub webhook: WebhookId,
    /// The event's type.
    pub event_type: EventType,
    /// The body sent.
    pub body: Bytes,
    /// The answer's status; `None` when there was no answer.
    pub response_code: Option<u16>,
    /// The start of the answer's body, as text.
    pub response_body: Option<String>,
    /// Why there was no answer, or why the answer was not good.
    pub error: Option<String>,
    /// From the start of the attempt to its end, in milliseconds.
    pub duration_ms: u32,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// When the attempt ended.
    pub at: Timestamp,
}

/// A row of the log with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedAttempt {
    /// The row's number.
    pub id: i64,
    /// What it says.
    pub row: AttemptRow,
}

/// The figures of one webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DeliveryStats {
    /// Rows.
    pub total: u64,
    /// Rows with 2xx.
    pub successful: u64,
    /// The mean of `duration_ms`; 0 without rows.
    pub avg_latency_ms: f64,
}

/// Reads the attempt log, and adds the rows of test deliveries. Newest rows first. The caller has
/// checked that the webhook is the tenant's.
pub trait AttemptLog: Send + Sync {
    /// Adds one row outside any delivery (a test).
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>>;

    /// One webhook's rows.
    fn rows(&self, webhook: WebhookId, page: Page) -> BoxFuture<'_, Result<Listed<LoggedAttempt>, DirectoryError>>;

    /// The tenant's rows since then without a 2xx, also those whose delivery succeeded later.
    fn failed<'a>(
        &'a self,
        tenant: &'a TenantId,
        since: Timestamp,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LoggedAttempt>, DirectoryError>>;

    /// One webhook's figures since then.
    fn stats(&self, webhook: WebhookId, since: Timestamp) -> BoxFuture<'_, Result<DeliveryStats, DirectoryError>>;
}
