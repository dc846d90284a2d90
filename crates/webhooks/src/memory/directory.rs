//! Registrations in memory.

use hookswitch_protocol::{TenantId, WebhookId};

use super::{MemoryWebhooks, Registered, State};
use crate::directory::{
    DirectoryError, DirectoryVersion, Listed, NewWebhook, Page, Webhook, WebhookChange, WebhookDirectory,
};
use crate::seam::BoxFuture;

impl WebhookDirectory for MemoryWebhooks {
    fn create<'a>(
        &'a self,
        tenant: &'a TenantId,
        webhook: NewWebhook,
    ) -> BoxFuture<'a, Result<Webhook, DirectoryError>> {
        self.locked(move |state, now| {
            state.last_webhook += 1;
            let webhook = Webhook {
                id: WebhookId(state.last_webhook),
                tenant: tenant.clone(),
                name: webhook.name,
                url: webhook.url,
                events: webhook.events,
                secret: webhook.secret,
                is_active: true,
                retry_count: webhook.retry_count,
                timeout_secs: webhook.timeout_secs,
                created_at: now,
                updated_at: now,
            };
            state.n_changes += 1;
            state.webhooks.insert(webhook.id, Registered { webhook: webhook.clone(), is_deleted: false });
            Ok(webhook)
        })
    }

    fn list<'a>(&'a self, tenant: &'a TenantId, page: Page) -> BoxFuture<'a, Result<Listed<Webhook>, DirectoryError>> {
        self.locked(move |state, _| {
            let all = || state.present().filter(|webhook| webhook.tenant == *tenant);
            let rows = all().skip(page.offset as usize).take(page.limit as usize).cloned().collect();
            Ok(Listed { rows, total: all().count() as u64 })
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
            webhook.url = change.url.unwrap_or_else(|| webhook.url.clone());
            webhook.events = change.events.unwrap_or_else(|| webhook.events.clone());
            webhook.secret = change.secret.or_else(|| webhook.secret.clone());
            webhook.is_active = change.is_active.unwrap_or(webhook.is_active);
            webhook.retry_count = change.retry_count.unwrap_or(webhook.retry_count);
            webhook.timeout_secs = change.timeout_secs.unwrap_or(webhook.timeout_secs);
            webhook.updated_at = now;
            let webhook = webhook.clone();
            state.n_changes += 1;
            Ok(Some(webhook))
        })
    }

    fn delete<'a>(&'a self, tenant: &'a TenantId, id: WebhookId) -> BoxFuture<'a, Result<bool, DirectoryError>> {
        self.locked(move |state, _| {
            let Some(known) = state.of_tenant(tenant, id) else { return Ok(false) };
            known.is_deleted = true;
            known.webhook.is_active = false;
            state.n_changes += 1;
            state.cancel_all(id);
            Ok(true)
        })
    }

    fn active(&self) -> BoxFuture<'_, Result<Vec<Webhook>, DirectoryError>> {
        self.locked(|state, _| Ok(state.present().filter(|webhook| webhook.is_active).cloned().collect()))
    }

    fn version(&self) -> BoxFuture<'_, Result<DirectoryVersion, DirectoryError>> {
        self.locked(|state, _| Ok(DirectoryVersion(state.n_changes.to_string())))
    }
}

impl State {
    fn present(&self) -> impl Iterator<Item = &Webhook> {
        self.webhooks.values().filter(|known| !known.is_deleted).map(|known| &known.webhook)
    }

    fn of_tenant(&mut self, tenant: &TenantId, id: WebhookId) -> Option<&mut Registered> {
        self.webhooks.get_mut(&id).filter(|known| !known.is_deleted && known.webhook.tenant == *tenant)
    }
}
