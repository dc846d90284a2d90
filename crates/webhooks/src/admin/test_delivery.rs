//! A test delivery: one attempt, one row, the answer for who asked.

use std::sync::Arc;

use hookswitch_protocol::{DeliveryId, EventType, Payload};
use tokio::time::Instant;

use crate::context::Context;
use crate::delivery_body::delivery_body;
use crate::error::WebhookError;
use crate::seams::directory::{DirectoryError, Webhook};
use crate::sender::{AttemptOutcome, AttemptRequest};

/// How a test delivery went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// The answer's status; `None` without an answer.
    pub response_code: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
}

/// Makes the attempt in a task of its own and waits for it.
pub(crate) async fn run(context: &Arc<Context>, webhook: Webhook) -> Result<TestReport, WebhookError> {
    let permit = context.tests.try_acquire(&webhook.tenant, 1).ok_or(WebhookError::TooManyTests)?;
    let task = context.scope.spawn_contained("webhook test", {
        let context = Arc::clone(context);
        async move {
            let _permit = permit;
            attempt(&context, &webhook).await
        }
    });
    match task.await {
        Ok(Some(report)) => Ok(report?),
        _ => Err(WebhookError::Stopping),
    }
}

async fn attempt(context: &Context, webhook: &Webhook) -> Result<TestReport, DirectoryError> {
    let now = context.clock.now();
    let text = format!(r#"{{"message":"This is a test delivery.","webhook_id":{}}}"#, webhook.id);
    let payload = Payload::parse(&text).expect("an object written by us");
    let body = delivery_body(&EventType::WEBHOOK_TEST, now, &payload);
    let delivery = DeliveryId::generate(now);
    let in_flight = context.metrics.in_flight.hold();
    let request = AttemptRequest {
        webhook,
        delivery: &delivery,
        event_type: &EventType::WEBHOOK_TEST,
        attempt: 1,
        body: body.clone(),
        now,
    };
    let started = Instant::now();
    let outcome = tokio::select! {
        outcome = context.sender.send(request) => Some(outcome),
        () = grace_over(context) => None,
    };
    drop(in_flight);
    let is_cut_off = outcome.is_none();
    let outcome = outcome.unwrap_or_else(|| AttemptOutcome { took: started.elapsed(), ..AttemptOutcome::default() });
    let row = outcome.into_row(webhook.id, delivery.clone(), EventType::WEBHOOK_TEST, body, 1, context.clock.now());
    let row = if is_cut_off { row.cut_off() } else { row };
    let report =
        TestReport { response_code: row.response_code, error: row.error.clone(), duration_ms: row.duration_ms };
    context.seams.log.append(row).await?;
    Ok(report)
}

/// Returns when a shutdown gives running attempts no more time.
async fn grace_over(context: &Context) {
    context.scope.soft().cancelled().await;
    tokio::time::sleep(context.config.stop_grace).await;
}
