//! The log, kept in `webhook_logs` and `webhook_skips`.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    AttemptLog, AttemptRow, BoxFuture, DeliveryStats, DirectoryError, Listed, LogEntry, LogFilter, LoggedAttempt, Page,
    SkipRow,
};

use super::Store;
use super::queries::{entries, logs, skips};
use crate::error::Failure;

impl AttemptLog for Store {
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        self.inner.acceptance.call_as(Failure::directory, "log an attempt", move |conn| logs::append(conn, &[&row]))
    }

    fn append_skip(&self, row: SkipRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        self.inner.acceptance.call_as(Failure::directory, "log a skip", move |conn| skips::append_one(conn, &row))
    }

    fn entries<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: WebhookId,
        filter: &'a LogFilter,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LogEntry>, DirectoryError>> {
        let filter = filter.clone();
        let query = move |conn: &mut _| entries::entries(conn, webhook, &filter, page);
        self.inner.readers.reports.read_as(Failure::directory, "read a log", Some(tenant.clone()), query)
    }

    fn failed<'a>(
        &'a self,
        tenant: &'a TenantId,
        since: Timestamp,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LoggedAttempt>, DirectoryError>> {
        let asker = Some(tenant.clone());
        let tenant = tenant.clone();
        let query = move |conn: &mut _| entries::failed(conn, &tenant, since, page);
        self.inner.readers.reports.read_as(Failure::directory, "list failed attempts", asker, query)
    }

    fn stats<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: WebhookId,
        since: Timestamp,
    ) -> BoxFuture<'a, Result<DeliveryStats, DirectoryError>> {
        let query = move |conn: &mut _| logs::stats(conn, webhook, since);
        self.inner.readers.reports.read_as(Failure::directory, "read a webhook's figures", Some(tenant.clone()), query)
    }
}
