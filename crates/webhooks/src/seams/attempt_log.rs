//! The seam for the log: one row per attempt, the source of all figures, and beside it one row per
//! thing that was not sent.

use bytes::Bytes;
use hookswitch_egress::Timings;
use hookswitch_protocol::{DeliveryId, EventType, TenantId, Timestamp, WebhookId};

use crate::labels::labels;
use crate::seams::directory::{DirectoryError, Listed, Page};
use hookswitch_runtime::BoxFuture;

/// What a row weighs beside its texts, about.
const ROW_BYTES: usize = 200;

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
    /// Which delivery it was an attempt of; `None` in rows that are older than this field.
    pub delivery: Option<DeliveryId>,
    /// How the time was spent.
    pub timings: Timings,
    /// When the attempt ended.
    pub at: Timestamp,
}

/// The `error` of an attempt that was cut off.
const CUT_OFF: &str = "cut_off: this server was shut down before there was an answer";

impl AttemptRow {
    /// What it weighs in a list: its texts, and something for the rest.
    pub fn weight(&self) -> usize {
        let texts = [self.response_body.as_deref(), self.error.as_deref()];
        self.body.len() + texts.into_iter().flatten().map(str::len).sum::<usize>() + ROW_BYTES
    }

    /// The row of an attempt that our own shutdown ended.
    pub(crate) fn cut_off(self) -> Self {
        Self { error: Some(CUT_OFF.to_owned()), ..self }
    }
}

/// A row of the log with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedAttempt {
    /// The row's number.
    pub id: i64,
    /// What it says.
    pub row: AttemptRow,
}

/// Something that was not sent, as it goes into `webhook_skips`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkipRow {
    /// Whose delivery it was.
    pub webhook: WebhookId,
    /// The delivery, where the row is about one.
    pub delivery: Option<DeliveryId>,
    /// The event's type, where the row is about one event.
    pub event_type: Option<EventType>,
    /// Why.
    pub reason: SkipReason,
    /// When it was decided.
    pub at: Timestamp,
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// It was no longer worth sending when its turn came.
    Expired,
    /// The webhook was switched off; it can be delivered later.
    Disabled,
    /// The webhook was deleted.
    Deleted,
    /// The circuit breaker opened: for a while nothing is sent, and everything waits. One row per opening.
    BreakerOpen,
}

labels!(SkipReason {
    Expired => "expired",
    Disabled => "webhook_disabled",
    Deleted => "webhook_deleted",
    BreakerOpen => "breaker_open",
});

/// A skip row with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedSkip {
    /// The row's number, apart from those of attempts.
    pub id: i64,
    /// What it says.
    pub row: SkipRow,
}

/// One entry of a webhook's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEntry {
    /// Something was tried.
    Attempt(LoggedAttempt),
    /// Something was not.
    Skip(LoggedSkip),
}

/// Which entries of a log are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Of this type only.
    pub event_type: Option<EventType>,
    /// With this outcome only; skip rows have none and are left out by it.
    pub outcome: Option<LogOutcome>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Attempts of this delivery, and its skips, only.
    pub delivery: Option<DeliveryId>,
    /// Also what was not sent.
    pub with_skips: bool,
}

/// How an attempt ended, for a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutcome {
    /// With 2xx.
    Success,
    /// Without.
    Failure,
    /// With exactly this status.
    Status(u16),
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

/// Reads the log, and adds what no ledger call adds. Newest rows first, of equal moments the higher
/// number first, attempts before skips. The caller has checked that the webhook is the tenant's. A read that is
/// dropped is ended where the keeper can, and holds its place among the tenant's reads until it has ended.
pub trait AttemptLog: Send + Sync {
    /// Adds one row outside any delivery (a test).
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>>;

    /// Adds a skip row outside any ledger call.
    fn append_skip(&self, row: SkipRow) -> BoxFuture<'_, Result<(), DirectoryError>>;

    /// One webhook's entries, in windows of at most [`PAGE_BYTES`](crate::PAGE_BYTES) of bodies, answers and
    /// errors. `tenant` is whose time of the database it takes.
    fn entries<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: WebhookId,
        filter: &'a LogFilter,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LogEntry>, DirectoryError>>;

    /// The tenant's rows since then without a 2xx, also those whose delivery succeeded later, in windows likewise.
    fn failed<'a>(
        &'a self,
        tenant: &'a TenantId,
        since: Timestamp,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LoggedAttempt>, DirectoryError>>;

    /// One webhook's figures since then. `tenant` is whose time of the database it takes.
    fn stats<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: WebhookId,
        since: Timestamp,
    ) -> BoxFuture<'a, Result<DeliveryStats, DirectoryError>>;
}
