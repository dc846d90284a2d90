//! A test delivery: one attempt, one row, the answer for who asked.

use std::sync::Arc;

use hookswitch_protocol::{DeliveryId, EventType, Payload};

use crate::context::Context;
use crate::delivery_body::delivery_body;
use crate::error::WebhookError;
use crate::seams::directory::{DirectoryError, Webhook};
use crate::sender::AttemptRequest;

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
    let permit = Arc::clone(&context.tests).try_acquire_owned().map_err(|_| WebhookError::TooManyTests)?;
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
    let outcome = context
        .sender
        .send(AttemptRequest {
            webhook,
            delivery: &delivery,
            event_type: &EventType::WEBHOOK_TEST,
            attempt: 1,
            body: body.clone(),
            now,
        })
        .await;
    drop(in_flight);
    let row = outcome.into_row(webhook.id, delivery, EventType::WEBHOOK_TEST, body, 1, context.clock.now());
    let report =
        TestReport { response_code: row.response_code, error: row.error.clone(), duration_ms: row.duration_ms };
    context.seams.log.append(row).await?;
    Ok(report)
}
