//! Making, reading and changing webhooks, trying them out and switching them on.

use hookswitch_protocol::{Timestamp, WebhookId};
use hookswitch_webhooks::{Cursor, Rotation, Webhook, WebhookInput};
use http::StatusCode;

use super::views::{EnabledView, TestView, WebhookView};
use super::{Answered, WebhookCall, meta};
use crate::publish::slips_of_names;

const LIST_LIMIT: u64 = 100;

impl WebhookCall<'_> {
    pub(super) async fn create(self, input: WebhookInput) -> Answered {
        let is_made_here = input.generate_secret == Some(true);
        let warnings = slips_of_names(input.events.as_deref().unwrap_or_default());
        let webhook = self.webhooks.create(self.tenant, input).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success_with(StatusCode::CREATED, self.view_after(&webhook, is_made_here), warnings))
    }

    pub(super) async fn list(self) -> Answered {
        let page = self.page(LIST_LIMIT, |cursor| matches!(cursor, Cursor::Webhook(_)))?;
        let found = self.webhooks.list(self.tenant, page).await.map_err(|error| self.refusal(error))?;
        let n_bytes = found.rows.iter().map(view_bytes).sum();
        let rows: Vec<_> = found.rows.iter().map(|webhook| self.view(webhook)).collect();
        Ok(self.answer.list(rows, meta(page, &found), n_bytes))
    }

    pub(super) async fn get(self, id: WebhookId) -> Answered {
        let webhook = self.webhooks.get(self.tenant, id).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success(StatusCode::OK, self.view(&webhook), None))
    }

    pub(super) async fn update(self, id: WebhookId, input: WebhookInput) -> Answered {
        let is_made_here = input.generate_secret == Some(true);
        let warnings = slips_of_names(input.events.as_deref().unwrap_or_default());
        let webhook = self.webhooks.update(self.tenant, id, input).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success_with(StatusCode::OK, self.view_after(&webhook, is_made_here), warnings))
    }

    pub(super) async fn delete(self, id: WebhookId) -> Answered {
        self.webhooks.delete(self.tenant, id).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success(StatusCode::OK, (), None))
    }

    pub(super) async fn test(self, id: WebhookId) -> Answered {
        let report = self.webhooks.test(self.tenant, id).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success(StatusCode::OK, TestView::from(report), None))
    }

    pub(super) async fn rotate(self, id: WebhookId, rotation: Rotation) -> Answered {
        let is_made_here = rotation.secret.is_none();
        let webhook =
            self.webhooks.rotate_secret(self.tenant, id, rotation).await.map_err(|error| self.refusal(error))?;
        Ok(self.answer.success(StatusCode::OK, self.view_after(&webhook, is_made_here), None))
    }

    pub(super) async fn enable(self, id: WebhookId, missed_since: Option<Timestamp>) -> Answered {
        let enabled = self.webhooks.enable(self.tenant, id, missed_since).await.map_err(|error| self.refusal(error))?;
        let view = EnabledView { webhook: self.view(&enabled.webhook), missed: enabled.missed.into() };
        Ok(self.answer.success(StatusCode::OK, view, None))
    }

    fn view(self, webhook: &Webhook) -> WebhookView<'_> {
        WebhookView::new(webhook, self.breaker(webhook.id), self.answer.now)
    }

    /// With the secret in it if we made it: nobody could use it otherwise, and it is told this once.
    fn view_after(self, webhook: &Webhook, is_made_here: bool) -> WebhookView<'_> {
        let view = self.view(webhook);
        if is_made_here { view.with_secret() } else { view }
    }

    /// How the circuit breaker of this webhook stands on this node.
    fn breaker(self, id: WebhookId) -> &'static str {
        self.webhooks.breaker(id).label()
    }
}

/// What a webhook takes in an answer, about.
fn view_bytes(webhook: &Webhook) -> usize {
    let events: usize = webhook.events.iter().map(|event| event.len() + 3).sum();
    events + webhook.name.len() + webhook.url.len() + 1_000
}
