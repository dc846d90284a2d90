//! Tells a tenant's administrators when one of their webhooks was switched off.

use std::sync::Arc;

use hookswitch_protocol::payloads::WebhookDisabled;
use hookswitch_protocol::{Chain, EventId, EventType, NewEvent, Payload, TenantId};
use hookswitch_runtime::{FairSemaphore, Scope, Sharing};
use hookswitch_webhooks::DisabledWebhook;
use tokio::sync::mpsc;

use crate::error::AcceptError;

/// Notices under way at once, half of them of one tenant: one whose share of the hub is full must not keep
/// others' administrators waiting.
const UNDER_WAY: u64 = 64;

/// Notices of one tenant that may wait beyond that.
const WAITING: u64 = 1_000;

/// Tells it through `broadcast`, until the soft token, or until no more webhooks can be switched off.
pub(crate) async fn run<F>(
    broadcast: impl Fn(TenantId, NewEvent) -> F + Send + Sync + 'static,
    scope: Scope,
    mut disabled: mpsc::Receiver<DisabledWebhook>,
) where
    F: Future<Output = Result<EventId, AcceptError>> + Send + 'static,
{
    let broadcast = Arc::new(broadcast);
    let room = FairSemaphore::new(UNDER_WAY, Sharing { alpha: 1, waiting: WAITING });
    while let Some(Some(one)) = scope.soft().run_until_cancelled(disabled.recv()).await {
        let (broadcast, room) = (Arc::clone(&broadcast), room.clone());
        scope.spawn_contained("webhook notice", async move {
            let (tenant, webhook) = (&one.webhook.tenant, one.webhook.id);
            let Ok(_room) = room.acquire(tenant, 1).await else {
                tracing::warn!(%tenant, %webhook, "nobody was told that a webhook was switched off, too many were at once");
                return;
            };
            let event = NewEvent::new(EventType::WEBHOOK_DISABLED, payload(&one));
            if let Err(error) = broadcast(tenant.clone(), event).await {
                tracing::warn!(%tenant, %webhook, error = %Chain(&error), "nobody was told that a webhook was switched off");
            }
        });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hookswitch_protocol::{Timestamp, WebhookId};
    use hookswitch_webhooks::{DisableReason, NewWebhook, Webhook, WebhookOptions};

    use super::*;

    fn switched_off(of: &str, id: i64) -> DisabledWebhook {
        let new = NewWebhook {
            name: String::new(),
            url: String::new(),
            events: Vec::new(),
            secret: None,
            retry_count: 3,
            timeout_secs: 30,
            options: WebhookOptions::default(),
        };
        let tenant = TenantId::parse(of).expect("legal");
        let webhook = Webhook::new(WebhookId(id), tenant, new, Timestamp::from_millis(0));
        DisabledWebhook { webhook, reason: DisableReason::Gone }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_whose_notices_are_stuck_holds_up_nobody_else_s() {
        let scope = Scope::root("test");
        let (told, mut heard) = mpsc::channel(1);
        let broadcast = move |tenant: TenantId, _| {
            let told = told.clone();
            async move {
                if tenant.as_str() == "stuck" {
                    std::future::pending::<()>().await;
                }
                drop(told.try_send(tenant));
                EventId::parse("e").map_err(|_| AcceptError::Internal)
            }
        };
        let (notices, disabled) = mpsc::channel(256);
        scope.spawn("notices", run(broadcast, scope.clone(), disabled));
        for id in 0..200 {
            notices.send(switched_off("stuck", id)).await.expect("taken at once");
        }
        notices.send(switched_off("other", 1)).await.expect("taken at once");
        let heard = tokio::time::timeout(Duration::from_secs(5), heard.recv()).await.expect("in time").expect("told");
        assert_eq!(heard.as_str(), "other");
        scope.hard().cancel();
    }
}
