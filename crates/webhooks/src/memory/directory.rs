//! Registrations in memory.

use hookswitch_protocol::{Secret, TenantId, Timestamp, WebhookId};

use super::{End, MemoryWebhooks, Registered, State, counted};
use crate::health::{DisableReason, Disabled, WebhookHealth};
use crate::seams::attempt_log::SkipReason;
use crate::seams::directory::{
    Cursor, DirectoryError, DirectoryVersion, Listed, NewWebhook, Page, PreviousSecret, Webhook, WebhookChange,
    WebhookDirectory,
};
use crate::seams::paging::PageBudget;
use hookswitch_runtime::BoxFuture;

impl WebhookDirectory for MemoryWebhooks {
    fn create_within<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
        most: u32,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>> {
        self.locked(move |state, now| {
            if state.present().filter(|webhook| webhook.tenant == *tenant).count() >= most as usize {
                return Err(DirectoryError::TooMany { most });
            }
            state.last_webhook += 1;
            let webhook = Webhook::new(WebhookId(state.last_webhook), tenant.clone(), webhook, now);
            state.n_changes += 1;
            state.webhooks.insert(webhook.id, Registered { webhook: webhook.clone(), is_deleted: false });
            Ok(webhook)
        })
    }

    fn list<'a>(&'a self, tenant: &'a TenantId, page: Page) -> BoxFuture<'a, Result<Listed<Webhook>, DirectoryError>> {
        self.locked(move |state, _| {
            let all = || state.present().filter(|webhook| webhook.tenant == *tenant);
            let after = match page.after {
                Some(Cursor::Webhook(id)) => id,
                _ => WebhookId(0),
            };
            let mut rows = all().filter(|webhook| webhook.id > after).skip(page.offset as usize).peekable();
            let mut room = PageBudget::new(&page);
            let taken: Vec<Webhook> =
                std::iter::from_fn(|| rows.next_if(|webhook| room.take(webhook.weight()))).cloned().collect();
            let next = rows.peek().and_then(|_| taken.last()).map(|last| Cursor::Webhook(last.id));
            Ok(Listed { rows: taken, total: counted(all().count()), next })
        })
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        self.locked(move |state, _| Ok(state.of_tenant(tenant, id).map(|known| known.webhook.clone())))
    }

    fn update<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        change: WebhookChange,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        self.locked(move |state, now| {
            let Some(known) = state.of_tenant(tenant, id) else { return Ok(None) };
            let webhook = &mut known.webhook;
            webhook.name = change.name.unwrap_or_else(|| webhook.name.clone());
            let is_elsewhere = change.url.as_ref().is_some_and(|url| *url != webhook.url);
            webhook.url = change.url.unwrap_or_else(|| webhook.url.clone());
            webhook.events = change.events.unwrap_or_else(|| webhook.events.clone());
            if let Some(secret) = change.secret {
                (webhook.secret, webhook.previous_secret) = (Some(secret), None);
            }
            webhook.is_active = change.is_active.unwrap_or(webhook.is_active);
            if is_elsewhere || change.is_active == Some(true) {
                let disabled = webhook.health.disabled.filter(|_| !webhook.is_active);
                webhook.health = WebhookHealth { disabled, ..WebhookHealth::default() };
                webhook.receiver_version += 1;
            }
            webhook.options.apply(change.options);
            webhook.retry_count = change.retry_count.unwrap_or(webhook.retry_count);
            webhook.timeout_secs = change.timeout_secs.unwrap_or(webhook.timeout_secs);
            webhook.updated_at = now;
            let webhook = webhook.clone();
            state.n_changes += 1;
            Ok(Some(webhook))
        })
    }

    fn delete<'a>(&'a self, tenant: &'a TenantId, id: WebhookId) -> BoxFuture<'a, Result<bool, DirectoryError>> {
        self.locked(move |state, now| {
            let Some(known) = state.of_tenant(tenant, id) else { return Ok(false) };
            known.is_deleted = true;
            known.webhook.is_active = false;
            (known.webhook.secret, known.webhook.previous_secret) = (None, None);
            known.webhook.options.headers.clear();
            state.n_changes += 1;
            state.cancel_all(id, now);
            Ok(true)
        })
    }

    fn rotate_secret<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: WebhookId,
        secret: Secret,
        valid_until: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Webhook>, DirectoryError>> {
        self.locked(move |state, now| {
            let Some(known) = state.of_tenant(tenant, id) else { return Ok(None) };
            if known.webhook.secret.as_ref() == Some(&secret) {
                return Err(DirectoryError::PresentSecret);
            }
            let former = known.webhook.secret.replace(secret);
            known.webhook.previous_secret = former.map(|secret| PreviousSecret { secret, valid_until });
            known.webhook.updated_at = now;
            let webhook = known.webhook.clone();
            state.n_changes += 1;
            Ok(Some(webhook))
        })
    }

    fn disable(
        &self,
        id: WebhookId,
        reason: DisableReason,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Webhook>, DirectoryError>> {
        self.locked(move |state, _| Ok(state.disable(id, reason, at)))
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>> {
        self.locked(|state, _| Ok(state.present().cloned().collect()))
    }

    fn version(&self) -> BoxFuture<'_, Result<DirectoryVersion, DirectoryError>> {
        self.locked(|state, _| Ok(DirectoryVersion(state.n_changes.to_string())))
    }
}

impl State {
    fn present(&self) -> impl Iterator<Item = &Webhook> {
        self.webhooks.values().filter(|known| !known.is_deleted).map(|known| &known.webhook)
    }

    /// Switches an active webhook off; `None` when it was not active.
    pub(super) fn disable(&mut self, id: WebhookId, reason: DisableReason, at: Timestamp) -> Option<Webhook> {
        let known = self.webhooks.get_mut(&id).filter(|known| !known.is_deleted && known.webhook.is_active)?;
        known.webhook.is_active = false;
        known.webhook.health.disabled = Some(Disabled { reason, at });
        known.webhook.updated_at = at;
        self.n_changes += 1;
        Some(known.webhook.clone())
    }

    /// Cancels every delivery of a deleted webhook, those under way included.
    fn cancel_all(&mut self, webhook: WebhookId, now: Timestamp) {
        let open = |delivery: &super::Delivery| delivery.webhook == webhook && delivery.end.is_none();
        let numbers: Vec<i64> = self.deliveries.iter().filter(|(_, d)| open(d)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.skip(number, End::Cancelled, SkipReason::Deleted, now);
        }
    }

    fn of_tenant(&mut self, tenant: &TenantId, id: WebhookId) -> Option<&mut Registered> {
        self.webhooks.get_mut(&id).filter(|known| !known.is_deleted && known.webhook.tenant == *tenant)
    }
}
