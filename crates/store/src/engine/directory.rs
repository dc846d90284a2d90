//! The directory of registrations, kept in `webhooks`.

use hookswitch_protocol::{Secret, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    BoxFuture, DirectoryError, DirectoryVersion, DisableReason, Listed, NewWebhook, Page, Webhook, WebhookChange,
    WebhookDirectory,
};

use super::queries::webhooks;
use super::{Store, dialect};

impl WebhookDirectory for Store {
    fn create<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>> {
        let (tenant, codec, clock) = (tenant.clone(), self.inner.codec.clone(), self.inner.clock.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| webhooks::create(conn, &codec, &tenant, &webhook, clock.now());
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("create a webhook"))
        })
    }

    fn list<'a>(&'a self, tenant: &'a TenantId, page: Page) -> BoxFuture<'a, Result<Listed<Webhook>, DirectoryError>> {
        let (tenant, codec) = (tenant.clone(), self.inner.codec.clone());
        Box::pin(async move {
            let query = move |conn: &mut _| webhooks::list(conn, &codec, &tenant, page);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("list webhooks"))
        })
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, codec) = (tenant.clone(), self.inner.codec.clone());
        Box::pin(async move {
            let query = move |conn: &mut _| webhooks::get(conn, &codec, &tenant, id);
            self.inner.readers.read(query).await.map_err(|failure| failure.directory("read a webhook"))
        })
    }

    fn update<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, codec, clock) = (tenant.clone(), self.inner.codec.clone(), self.inner.clock.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| webhooks::update(conn, &codec, &tenant, id, &change, clock.now());
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

    fn rotate_secret<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        secret: Secret,
        valid_until: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, codec, clock) = (tenant.clone(), self.inner.codec.clone(), self.inner.clock.clone());
        Box::pin(async move {
            let work = move |conn: &mut _| {
                webhooks::rotate_secret(conn, &codec, &tenant, id, &secret, (valid_until, clock.now()))
            };
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("rotate a secret"))
        })
    }

    fn disable(
        &self,
        id: WebhookId,
        reason: DisableReason,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Webhook>, DirectoryError>> {
        let codec = self.inner.codec.clone();
        Box::pin(async move {
            let work = move |conn: &mut _| webhooks::disable(conn, &codec, id, reason, at);
            self.inner.acceptance.call(work).await.map_err(|failure| failure.directory("disable a webhook"))
        })
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>> {
        let codec = self.inner.codec.clone();
        Box::pin(async move {
            let rows = self.inner.readers.read(move |conn| webhooks::all(conn, &codec)).await;
            rows.map_err(|failure| failure.directory("list all webhooks"))
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
