//! What happened, for whoever asks and wants it to happen again.

use hookswitch_protocol::{DeliveryId, TenantId, Timestamp, WebhookId};

use super::resend::{self, Resent};
use crate::error::WebhookError;
use crate::seams::attempt_log::{DeliveryStats, LogEntry, LogFilter, LoggedAttempt};
use crate::seams::directory::{Listed, Page};
use crate::seams::ledger::Requeue;
use crate::webhooks::Webhooks;

impl Webhooks {
    /// One webhook's log, newest first.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Directory`].
    pub async fn logs(
        &self,
        tenant: &TenantId,
        id: WebhookId,
        filter: &LogFilter,
        page: Page,
    ) -> Result<Listed<LogEntry>, WebhookError> {
        self.get(tenant, id).await?;
        Ok(self.0.seams.log.entries(tenant, id, filter, page).await?)
    }

    /// The tenant's attempts since then without a 2xx, newest first.
    ///
    /// # Errors
    /// [`WebhookError::Directory`].
    pub async fn failed(
        &self,
        tenant: &TenantId,
        since: Timestamp,
        page: Page,
    ) -> Result<Listed<LoggedAttempt>, WebhookError> {
        Ok(self.0.seams.log.failed(tenant, since, page).await?)
    }

    /// One webhook's figures since then.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Directory`].
    pub async fn stats(
        &self,
        tenant: &TenantId,
        id: WebhookId,
        since: Timestamp,
    ) -> Result<DeliveryStats, WebhookError> {
        self.get(tenant, id).await?;
        Ok(self.0.seams.log.stats(tenant, id, since).await?)
    }

    /// Makes every delivery of an event accepted since then that ended without a 2xx due again, up to
    /// 100,000 of them, oldest first. Runs in a task of its own, so that it goes on when the caller
    /// goes away.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Inactive`], [`WebhookError::TooManyResends`],
    /// [`WebhookError::Directory`], [`WebhookError::Stopping`]; [`WebhookError::Ledger`], after which
    /// some may be due and asking again is harmless.
    pub async fn resend(&self, tenant: &TenantId, id: WebhookId, since: Timestamp) -> Result<Resent, WebhookError> {
        self.check_active(tenant, id).await?;
        resend::run(&self.0, tenant, id, Requeue::FailedSince(since)).await
    }

    /// Makes one delivery due again, however it ended.
    ///
    /// # Errors
    /// As [`Webhooks::resend`]; [`WebhookError::DeliveryNotFound`] when the webhook has no such
    /// delivery or retention has taken it, [`WebhookError::UnderWay`] when it waits or runs anyway.
    pub async fn resend_one(
        &self,
        tenant: &TenantId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Resent, WebhookError> {
        self.check_active(tenant, id).await?;
        resend::run(&self.0, tenant, id, Requeue::One(delivery)).await
    }

    /// What is made due for a webhook that is off would only be skipped.
    async fn check_active(&self, tenant: &TenantId, id: WebhookId) -> Result<(), WebhookError> {
        let webhook = self.get(tenant, id).await?;
        if webhook.is_active { Ok(()) } else { Err(WebhookError::Inactive { id }) }
    }
}
