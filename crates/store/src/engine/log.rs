//! The log, kept in `webhook_logs` and `webhook_skips`.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    AttemptLog, AttemptRow, BoxFuture, DeliveryStats, DirectoryError, Listed, LogEntry, LogFilter, LoggedAttempt, Page,
    SkipRow,
};

use super::Store;
use super::queries::{entries, logs, skips};
use crate::error::Failure;
use crate::weight::{Caller, Weight};

impl AttemptLog for Store {
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        let turn = (Caller::Node, Weight { n_rows: 1, n_bytes: row.body.len() });
        let work = move |conn: &mut _| logs::append(conn, &[&row]);
        self.inner.acceptance.call_as(Failure::directory, "log an attempt", turn, work)
    }

    fn append_skip(&self, row: SkipRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        let turn = (Caller::Node, Weight::LIGHT);
        let work = move |conn: &mut _| skips::append_one(conn, &row);
        self.inner.acceptance.call_as(Failure::directory, "log a skip", turn, work)
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
