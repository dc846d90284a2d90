//! The directory of registrations, kept in `webhooks`.

use hookswitch_protocol::{TenantId, WebhookId};
use hookswitch_webhooks::{
    BoxFuture, DirectoryError, DirectoryVersion, Listed, NewWebhook, Page, Webhook, WebhookChange, WebhookDirectory,
};

use super::queries::webhooks;
use super::{Store, dialect};

impl WebhookDirectory for Store {
    fn create<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>> {
        let (tenant, clock) = (tenant.clone(), self.inner.clock.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| webhooks::create(conn, &tenant, &webhook, clock.now());
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("create a webhook"))
        })
    }

    fn list<'a>(&'a self, tenant: &'a TenantId, page: Page) -> BoxFuture<'a, Result<Listed<Webhook>, DirectoryError>> {
        let tenant = tenant.clone();
        Box::pin(async move {
            let query = move |conn: &mut _| webhooks::list(conn, &tenant, page);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("list webhooks"))
        })
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let tenant = tenant.clone();
        Box::pin(async move {
            let query = move |conn: &mut _| webhooks::get(conn, &tenant, id);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("read a webhook"))
        })
    }

    fn update<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, clock) = (tenant.clone(), self.inner.clock.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| webhooks::update(conn, &tenant, id, &change, clock.now());
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("update a webhook"))
        })
    }

    fn delete<'a>(&'a self, tenant: &'a TenantId, id: WebhookId) -> BoxFuture<'a, Result<bool, DirectoryError>> {
        let (tenant, clock) = (tenant.clone(), self.inner.clock.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| webhooks::delete(conn, &tenant, id, clock.now());
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("delete a webhook"))
        })
    }

    fn active(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>> {
        Box::pin(async move {
            let rows = self.inner.readers.read(webhooks::active).await;
            rows.map_err(|failure| failure.directory("list active webhooks"))
        })
    }

    /// Whoever changes a row, the database makes another mark of it.
    fn version(&self) -> BoxFuture<'_, Result<DirectoryVersion, DirectoryError>> {
        Box::pin(async move {
            let version = self.inner.readers.read(dialect::directory_version).await;
            version.map(DirectoryVersion).map_err(|failure| failure.directory("read the directory's version"))
        })
    }
}
