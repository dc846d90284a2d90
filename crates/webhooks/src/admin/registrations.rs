//! Webhooks are made, changed, tried out, switched on again.

use hookswitch_protocol::{TenantId, Timestamp, WebhookId};

use super::resend::{self, Enabled};
use super::test_delivery::{self, TestReport};
use crate::error::WebhookError;
use crate::rules::{self, Rotation, WebhookInput};
use crate::seams::directory::{Listed, Page, Webhook};
use crate::webhooks::Webhooks;

impl Webhooks {
    /// Checks and stores a new webhook; it matches events from here on.
    ///
    /// # Errors
    /// [`WebhookError::Invalid`] with the first field that is wrong, [`WebhookError::TooManyWebhooks`],
    /// [`WebhookError::Directory`].
    pub async fn create(&self, tenant: &TenantId, input: WebhookInput) -> Result<Webhook, WebhookError> {
        let new = rules::check_new(input, &self.0.guard.on_behalf_of(tenant.as_str())).await?;
        let most = u32::try_from(self.0.config.max_per_tenant).unwrap_or(u32::MAX);
        let webhook = self.0.seams.directory.create_within(tenant, new, most).await?;
        self.0.table.put(&webhook);
        Ok(webhook)
    }

    /// The tenant's webhooks, oldest first.
    ///
    /// # Errors
    /// [`WebhookError::Directory`].
    pub async fn list(&self, tenant: &TenantId, page: Page) -> Result<Listed<Webhook>, WebhookError> {
        Ok(self.0.seams.directory.list(tenant, page).await?)
    }

    /// One webhook of the tenant. Ask this before looking at the body of an update: a foreign id is
    /// 404 whatever the body says.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Directory`].
    pub async fn get(&self, tenant: &TenantId, id: WebhookId) -> Result<Webhook, WebhookError> {
        let found = self.0.seams.directory.get(tenant, id).await?;
        found.ok_or(WebhookError::NotFound { id })
    }

    /// Checks and stores a partial update; it is in force when this returns. What was leased and not sent
    /// yet goes back, to be sent as the webhook is now.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] before [`WebhookError::Invalid`]; [`WebhookError::Directory`].
    pub async fn update(&self, tenant: &TenantId, id: WebhookId, input: WebhookInput) -> Result<Webhook, WebhookError> {
        let present = self.get(tenant, id).await?;
        let change = rules::check_change(input, &present.options, &self.0.guard.on_behalf_of(tenant.as_str())).await?;
        let updated = self.0.seams.directory.update(tenant, id, change).await?;
        let webhook = updated.ok_or(WebhookError::NotFound { id })?;
        self.changed(&webhook);
        Ok(webhook)
    }

    /// Deletes a webhook: it matches nothing any more, and its waiting deliveries are cancelled.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Directory`].
    pub async fn delete(&self, tenant: &TenantId, id: WebhookId) -> Result<(), WebhookError> {
        let was_there = self.0.seams.directory.delete(tenant, id).await?;
        self.0.table.remove(tenant, id);
        if was_there {
            // With it goes what is held in memory to be sent, its secrets among it.
            self.0.inbox.changed(id);
        }
        if was_there { Ok(()) } else { Err(WebhookError::NotFound { id }) }
    }

    /// Sends a `webhook.test` event at once, waits for the answer, and logs the one attempt. The
    /// attempt runs in a task of its own, so it is made and logged even when the caller goes away.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::TooManyTests`], [`WebhookError::Directory`] (then
    /// the attempt may have been made without being logged), [`WebhookError::Stopping`].
    pub async fn test(&self, tenant: &TenantId, id: WebhookId) -> Result<TestReport, WebhookError> {
        let webhook = self.get(tenant, id).await?;
        test_delivery::run(&self.0, webhook).await
    }

    /// Replaces the secret; the former one signs beside it for the overlap. The answer holds the new
    /// one, also when it was made here.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`] before [`WebhookError::Invalid`]; [`WebhookError::Directory`].
    pub async fn rotate_secret(
        &self,
        tenant: &TenantId,
        id: WebhookId,
        rotation: Rotation,
    ) -> Result<Webhook, WebhookError> {
        self.get(tenant, id).await?;
        let (secret, overlap) = rules::check_rotation(rotation)?;
        let valid_until = self.0.clock.now().after(overlap);
        let rotated = self.0.seams.directory.rotate_secret(tenant, id, secret, valid_until).await?;
        let mut webhook = rotated.ok_or(WebhookError::NotFound { id })?;
        // It is over already, also for a caller whose "now" was read a moment before ours.
        if overlap.is_zero() {
            webhook.previous_secret = None;
        }
        self.changed(&webhook);
        tracing::info!(%tenant, webhook = %id, ?overlap, "a webhook's secret was rotated");
        Ok(webhook)
    }

    /// Switches a webhook on, forgets its failures, and, if wanted, makes due what it missed since
    /// then, as [`Webhooks::resend`] does. It all happens in a task of its own. What other nodes let it
    /// miss in the moment before they hear of it follows within seconds, and is not counted in the answer.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`], [`WebhookError::Directory`]; [`WebhookError::Ledger`] and
    /// [`WebhookError::TooManyResends`], in which cases it is on all the same; [`WebhookError::Stopping`].
    pub async fn enable(
        &self,
        tenant: &TenantId,
        id: WebhookId,
        missed_since: Option<Timestamp>,
    ) -> Result<Enabled, WebhookError> {
        resend::enable(&self.0, tenant, id, missed_since).await
    }

    /// Puts a change in force on this node.
    fn changed(&self, webhook: &Webhook) {
        self.0.table.put(webhook);
        self.0.inbox.changed(webhook.id);
    }
}
