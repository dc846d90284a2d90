//! Tells a tenant's administrators when one of their webhooks was switched off.

use hookswitch_protocol::payloads::WebhookDisabled;
use hookswitch_protocol::{Chain, EventId, EventType, NewEvent, Payload, TenantId};
use hookswitch_runtime::Scope;
use hookswitch_webhooks::DisabledWebhook;
use tokio::sync::mpsc;

use crate::error::AcceptError;

/// Tells it through `broadcast`, until the soft token, or until no more webhooks can be switched off.
pub(crate) async fn run<F>(
    broadcast: impl Fn(TenantId, NewEvent) -> F,
    scope: Scope,
    mut disabled: mpsc::Receiver<DisabledWebhook>,
) where
    F: Future<Output = Result<EventId, AcceptError>>,
{
    while let Some(Some(one)) = scope.soft().run_until_cancelled(disabled.recv()).await {
        let tenant = one.webhook.tenant.clone();
        let event = NewEvent::new(EventType::WEBHOOK_DISABLED, payload(&one));
        if let Err(error) = broadcast(tenant.clone(), event).await {
            let webhook = one.webhook.id;
            tracing::warn!(%tenant, %webhook, error = %Chain(&error), "nobody was told that a webhook was switched off");
        }
    }
}

fn payload(DisabledWebhook { webhook, reason }: &DisabledWebhook) -> Payload {
    let payload = WebhookDisabled {
        webhook_id: webhook.id,
        name: webhook.name.clone(),
        reason: reason.label().to_owned(),
        consecutive_failures: webhook.health.n_failures,
        failing_since: webhook.health.failing_since,
        disabled_at: webhook.health.disabled.map_or(webhook.updated_at, |disabled| disabled.at),
    };
    Payload::from_serialize(&payload).expect("a struct prints as an object")
}
