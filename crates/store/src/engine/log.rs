//! The log, kept in `webhook_logs` and `webhook_skips`.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    AttemptLog, AttemptRow, BoxFuture, DeliveryStats, DirectoryError, Listed, LogEntry, LogFilter, LoggedAttempt, Page,
    SkipRow,
};

use super::Store;
use super::queries::{entries, logs, skips};

impl AttemptLog for Store {
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| logs::append(conn, &[&row]);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("log an attempt"))
        })
    }

    fn append_skip(&self, row: SkipRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| skips::append_one(conn, &row);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("log a skip"))
        })
    }

    fn entries<'a>(
        &'a self,
        webhook: WebhookId,
        filter: &'a LogFilter,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LogEntry>, DirectoryError>> {
        let filter = filter.clone();
        Box::pin(async move {
            let query = move |conn: &mut _| entries::entries(conn, webhook, &filter, page);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("read a log"))
        })
    }

    fn failed<'a>(
        &'a self,
        tenant: &'a TenantId,
        since: Timestamp,
        page: Page,
    ) -> BoxFuture<'a, Result<Listed<LoggedAttempt>, DirectoryError>> {
        let tenant = tenant.clone();
        Box::pin(async move {
            let query = move |conn: &mut _| logs::failed(conn, &tenant, since, page);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("list failed attempts"))
        })
    }

    fn stats(&self, webhook: WebhookId, since: Timestamp) -> BoxFuture<'_, Result<DeliveryStats, DirectoryError>> {
        Box::pin(async move {
            let query = move |conn: &mut _| logs::stats(conn, webhook, since);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("read a webhook's figures"))
        })
    }
}
