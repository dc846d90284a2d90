//! The attempt log, kept in `webhook_logs`.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    AttemptLog, AttemptRow, BoxFuture, DeliveryStats, DirectoryError, Listed, LoggedAttempt, Page,
};

use super::Store;
use super::queries::logs;

impl AttemptLog for Store {
    fn append(&self, row: AttemptRow) -> BoxFuture<'_, Result<(), DirectoryError>> {
        Box::pin(async move {
            let work = move |conn: &mut _| logs::append(conn, &[&row]);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("log an attempt"))
        })
    }

    fn rows(&self, webhook: WebhookId, page: Page) -> BoxFuture<'_, Result<Listed<LoggedAttempt>, DirectoryError>> {
        Box::pin(async move {
            let query = move |conn: &mut _| logs::rows(conn, webhook, page);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("list attempts"))
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
