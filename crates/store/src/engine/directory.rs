//! The directory of registrations, kept in `webhooks`.

use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use hookswitch_protocol::{Secret, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{
    BoxFuture, DirectoryError, DirectoryVersion, DisableReason, Listed, NewWebhook, Page, Webhook, WebhookChange,
    WebhookDirectory,
};

use super::Store;
use super::dialect::Conn;
use super::queries::{webhook_lists, webhooks};
use crate::error::Failure;
use crate::weight::{Caller, Weight};

/// How often it is tried to change a row that somebody else has locked.
const LOCK_TRIES: u32 = 10;

/// How long such a change waits before it is tried again; meanwhile the writer serves others.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

impl Store {
    /// Changes one webhook's row. Where somebody else has it locked, nobody but this caller waits.
    fn change<'a, T, F>(
        &'a self,
        operation: &'static str,
        caller: Caller,
        id: WebhookId,
        work: F,
    ) -> BoxFuture<'a, Result<T, DirectoryError>>
    where
        F: Fn(&mut Conn) -> QueryResult<T> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let work = Arc::new(work);
        Box::pin(async move {
            for n_tries in 1..=LOCK_TRIES {
                let work = Arc::clone(&work);
                // The last time it waits in line, for a second: settling nodes lock a busy webhook's row by turns, and
                // whoever only looks may always find it locked.
                let waits = n_tries == LOCK_TRIES;
                let unlocked = move |conn: &mut Conn| {
                    if waits || webhooks::locked(conn, &[id.0])?.is_empty() { work(conn).map(Some) } else { Ok(None) }
                };
                let changed = self.inner.acceptance.call((caller.clone(), Weight::LIGHT), unlocked).await;
                match changed.map_err(|failure| failure.directory(operation))? {
                    Some(changed) => return Ok(changed),
                    None => tokio::time::sleep(LOCK_PAUSE).await,
                }
            }
            Err(Failure::RowLocked.directory(operation))
        })
    }
}

impl WebhookDirectory for Store {
    fn create_within<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
        most: u32,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>> {
        let (tenant, columns, clock) = (tenant.clone(), self.inner.columns.clone(), self.inner.clock.clone());
        let turn = (Caller::Tenant(tenant.clone()), Weight::LIGHT);
        let work = move |conn: &mut _| webhooks::create(conn, &columns, &tenant, (&webhook, most), clock.now());
        let created = self.inner.acceptance.call_as(Failure::directory, "create a webhook", turn, work);
        Box::pin(async move { created.await?.ok_or(DirectoryError::TooMany { most }) })
    }

    fn list<'a>(&'a self, tenant: &'a TenantId, page: Page) -> BoxFuture<'a, Result<Listed<Webhook>, DirectoryError>> {
        let (asker, tenant, columns) = (Some(tenant.clone()), tenant.clone(), self.inner.columns.clone());
        let query = move |conn: &mut _| webhook_lists::list(conn, &columns, &tenant, page);
        self.inner.readers.reports.read_as(Failure::directory, "list webhooks", asker, query)
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (asker, tenant, columns) = (Some(tenant.clone()), tenant.clone(), self.inner.columns.clone());
        let query = move |conn: &mut _| webhooks::get(conn, &columns, &tenant, id);
        self.inner.readers.ownership.read_as(Failure::directory, "read a webhook", asker, query)
    }

    fn update<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, columns, clock) = (tenant.clone(), self.inner.columns.clone(), self.inner.clock.clone());
        let turn = Caller::Tenant(tenant.clone());
        let work = move |conn: &mut _| webhooks::update(conn, &columns, &tenant, id, &change, clock.now());
        self.change("update a webhook", turn, id, work)
    }

    fn delete<'a>(&'a self, tenant: &'a TenantId, id: WebhookId) -> BoxFuture<'a, Result<bool, DirectoryError>> {
        let (tenant, clock) = (tenant.clone(), self.inner.clock.clone());
        let (turn, endings) = (Caller::Tenant(tenant.clone()), Arc::clone(&self.inner.chores.endings));
        let work = move |conn: &mut _| webhooks::delete(conn, &tenant, id, clock.now());
        let deleted = self.change("delete a webhook", turn, id, work);
        Box::pin(async move { deleted.await.inspect(|_| endings.note(&[id])) })
    }

    fn rotate_secret<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        secret: Secret,
        valid_until: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        let (tenant, columns, clock) = (tenant.clone(), self.inner.columns.clone(), self.inner.clock.clone());
        let turn = Caller::Tenant(tenant.clone());
        let work = move |conn: &mut _| {
            webhooks::rotate_secret(conn, &columns, &tenant, id, &secret, (valid_until, clock.now()))
        };
        let rotated = self.change("rotate a secret", turn, id, work);
        Box::pin(async move { rotated.await?.map_err(|webhooks::IsPresent| DirectoryError::PresentSecret) })
    }

    fn disable(
        &self,
        id: WebhookId,
        reason: DisableReason,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Webhook>, DirectoryError>> {
        let columns = self.inner.columns.clone();
        let work = move |conn: &mut _| webhooks::disable(conn, &columns, id, reason, at);
        self.change("disable a webhook", Caller::Node, id, work)
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>> {
        Box::pin(async move {
            let (mut all, mut next) = (Vec::new(), Some(i64::MIN));
            // Read by read: with very many webhooks one would never end in time.
            while let Some(after) = next {
                let columns = self.inner.columns.clone();
                let query = move |conn: &mut _| webhook_lists::some_of_all(conn, &columns, after);
                let some = self.inner.readers.upkeep.read(&None, query).await;
                let (some, last) = some.map_err(|failure| failure.directory("list all webhooks"))?;
                all.extend(some);
                next = last;
            }
            Ok(all)
        })
    }

    /// Whoever changes a row, the database makes another mark of it.
    fn version(&self) -> BoxFuture<'_, Result<DirectoryVersion, DirectoryError>> {
        let known = Arc::clone(&self.inner.directory);
        let query = move |conn: &mut _| known.read(conn).map(DirectoryVersion);
        self.inner.readers.upkeep.read_as(Failure::directory, "read the directory's version", None, query)
    }
}
