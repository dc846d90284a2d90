//! What callers see of webhooks: never the secret.

use std::borrow::Cow;

use hookswitch_protocol::{EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{DeliveryStats, LoggedAttempt, TestReport, Webhook};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::value::RawValue;

/// A registration.
pub(super) struct WebhookView<'a>(pub(super) &'a Webhook);

impl Serialize for WebhookView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let webhook = self.0;
        let mut out = serializer.serialize_struct("Webhook", 10)?;
        out.serialize_field("id", &webhook.id)?;
        out.serialize_field("tenant_id", &webhook.tenant)?;
        out.serialize_field("name", &webhook.name)?;
        out.serialize_field("url", &webhook.url)?;
        out.serialize_field("events", &webhook.events)?;
        out.serialize_field("is_active", &webhook.is_active)?;
        out.serialize_field("retry_count", &webhook.retry_count)?;
        out.serialize_field("timeout", &webhook.timeout_secs)?;
        out.serialize_field("created_at", &webhook.created_at)?;
        out.serialize_field("updated_at", &webhook.updated_at)?;
        out.end()
    }
}

/// A row of the log.
pub(super) struct LogView<'a>(pub(super) &'a LoggedAttempt);

#[derive(serde::Serialize)]
struct LogFields<'a> {
    id: i64,
    webhook_id: WebhookId,
    event: &'a EventType,
    payload: PayloadView<'a>,
    response_code: Option<u16>,
    response_body: Option<&'a str>,
    error: Option<&'a str>,
    duration_ms: u32,
    attempt: u32,
    created_at: Timestamp,
}

/// The body sent, as JSON; as text where an operator's own row holds something else.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum PayloadView<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

impl Serialize for LogView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = &self.0.row;
        let payload = match serde_json::from_slice::<&RawValue>(&row.body) {
            Ok(json) => PayloadView::Json(json),
            Err(_) => PayloadView::Text(String::from_utf8_lossy(&row.body)),
        };
        let fields = LogFields {
            id: self.0.id,
            webhook_id: row.webhook,
            event: &row.event_type,
            payload,
            response_code: row.response_code,
            response_body: row.response_body.as_deref(),
            error: row.error.as_deref(),
            duration_ms: row.duration_ms,
            attempt: row.attempt,
            created_at: row.at,
        };
        fields.serialize(serializer)
    }
}

/// The figures of one webhook.
#[derive(serde::Serialize)]
pub(super) struct StatsView {
    total_deliveries: u64,
    successful_count: u64,
    failed_count: u64,
    success_rate: f64,
    avg_latency_ms: f64,
}

impl From<DeliveryStats> for StatsView {
    fn from(stats: DeliveryStats) -> Self {
        let rate = if stats.total == 0 { 0.0 } else { 100.0 * stats.successful as f64 / stats.total as f64 };
        Self {
            total_deliveries: stats.total,
            successful_count: stats.successful,
            failed_count: stats.total.saturating_sub(stats.successful),
            // Two digits, as the operators' SQL reports round.
            success_rate: (rate * 100.0).round() / 100.0,
            avg_latency_ms: (stats.avg_latency_ms * 100.0).round() / 100.0,
        }
    }
}

/// How a test delivery went.
#[derive(serde::Serialize)]
pub(super) struct TestView {
    response_code: Option<u16>,
    error: Option<String>,
    duration_ms: u32,
}

impl From<TestReport> for TestView {
    fn from(report: TestReport) -> Self {
        Self { response_code: report.response_code, error: report.error, duration_ms: report.duration_ms }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookswitch_protocol::{Secret, TenantId};
    use hookswitch_webhooks::{AttemptRow, NewWebhook, Timings, WebhookOptions};

    use super::*;

    #[test]
    fn a_webhook_shows_the_contracts_fields_and_no_secret() {
        let new = NewWebhook {
            name: "CRM".to_owned(),
            url: "https://x.example/".to_owned(),
            events: vec!["call.*".to_owned()],
            secret: Some(Secret::new("hush")),
            retry_count: 3,
            timeout_secs: 30,
            options: WebhookOptions::default(),
        };
        let tenant = TenantId::parse("t").expect("legal");
        let webhook = Webhook::new(WebhookId(42), tenant, new, Timestamp::from_millis(0));
        let webhook = Webhook { updated_at: Timestamp::from_millis(1), ..webhook };
        assert_eq!(
            serde_json::to_string(&WebhookView(&webhook)).expect("prints"),
            r#"{"id":42,"tenant_id":"t","name":"CRM","url":"https://x.example/","events":["call.*"],"is_active":true,"retry_count":3,"timeout":30,"created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.001Z"}"#
        );
    }

    #[test]
    fn a_log_row_shows_the_body_as_it_was_sent() {
        let row = AttemptRow {
            webhook: WebhookId(42),
            event_type: EventType::ALERT,
            body: Bytes::from_static(br#"{"event":"alert","n":2.50}"#),
            response_code: None,
            response_body: None,
            error: Some("timeout".to_owned()),
            duration_ms: 7,
            attempt: 2,
            delivery: None,
            timings: Timings::default(),
            at: Timestamp::from_millis(0),
        };
        assert_eq!(
            serde_json::to_string(&LogView(&LoggedAttempt { id: 1, row })).expect("prints"),
            r#"{"id":1,"webhook_id":42,"event":"alert","payload":{"event":"alert","n":2.50},"response_code":null,"response_body":null,"error":"timeout","duration_ms":7,"attempt":2,"created_at":"1970-01-01T00:00:00.000Z"}"#
        );
    }

    #[test]
    fn rates_are_percent_with_two_digits() {
        let stats = StatsView::from(DeliveryStats { total: 3, successful: 2, avg_latency_ms: 1.0 / 3.0 });
        assert_eq!(
            serde_json::to_string(&stats).expect("prints"),
            r#"{"total_deliveries":3,"successful_count":2,"failed_count":1,"success_rate":66.67,"avg_latency_ms":0.33}"#
        );
        let nothing = serde_json::to_value(StatsView::from(DeliveryStats::default())).expect("prints");
        assert_eq!(nothing["success_rate"], 0.0);
    }
}
