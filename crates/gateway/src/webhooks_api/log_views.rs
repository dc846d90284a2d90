//! What callers see of a log: what was tried, what was not, and the figures.

use std::borrow::Cow;

use hookswitch_protocol::{DeliveryId, EventType, Timestamp, WebhookId};
use hookswitch_webhooks::{DeliveryStats, LoggedAttempt, LoggedSkip, Timings};
use serde::Serialize;
use serde_json::value::RawValue;

/// One entry of a log.
#[derive(Serialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LogEntry"))]
pub(super) enum LogEntryView<'a> {
    Attempt(AttemptView<'a>),
    Skip(SkipView<'a>),
}

/// Something that was tried: the contract's fields, then ours.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Attempt"))]
pub(super) struct AttemptView<'a> {
    id: i64,
    webhook_id: WebhookId,
    event: &'a EventType,
    /// The body sent.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    payload: PayloadView<'a>,
    response_code: Option<u16>,
    /// Its first 4 KiB.
    response_body: Option<&'a str>,
    /// A word, then perhaps a colon and a sentence.
    error: Option<&'a str>,
    duration_ms: u32,
    attempt: u32,
    created_at: Timestamp,
    delivery_id: Option<&'a DeliveryId>,
    timings: TimingsView,
}

/// Something that was not.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Skip"))]
pub(super) struct SkipView<'a> {
    id: i64,
    webhook_id: WebhookId,
    event: Option<&'a EventType>,
    #[cfg_attr(test, schemars(extend("enum" = ["expired", "webhook_disabled", "webhook_deleted", "breaker_open"])))]
    skipped: &'static str,
    delivery_id: Option<&'a DeliveryId>,
    created_at: Timestamp,
}

/// The body sent, as JSON; as text where an operator's own row holds something else.
#[derive(Serialize)]
#[serde(untagged)]
enum PayloadView<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

/// `null` where a phase did not take place.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Timings"))]
struct TimingsView {
    dns_ms: Option<u32>,
    connect_ms: Option<u32>,
    tls_ms: Option<u32>,
    first_byte_ms: Option<u32>,
    body_ms: Option<u32>,
}

impl<'a> From<&'a LoggedAttempt> for AttemptView<'a> {
    fn from(logged: &'a LoggedAttempt) -> Self {
        let row = &logged.row;
        let payload = match serde_json::from_slice::<&RawValue>(&row.body) {
            Ok(json) => PayloadView::Json(json),
            Err(_) => PayloadView::Text(String::from_utf8_lossy(&row.body)),
        };
        Self {
            id: logged.id,
            webhook_id: row.webhook,
            event: &row.event_type,
            payload,
            response_code: row.response_code,
            response_body: row.response_body.as_deref(),
            error: row.error.as_deref(),
            duration_ms: row.duration_ms,
            attempt: row.attempt,
            created_at: row.at,
            delivery_id: row.delivery.as_ref(),
            timings: row.timings.into(),
        }
    }
}

impl<'a> From<&'a LoggedSkip> for SkipView<'a> {
    fn from(logged: &'a LoggedSkip) -> Self {
        let row = &logged.row;
        Self {
            id: logged.id,
            webhook_id: row.webhook,
            event: row.event_type.as_ref(),
            skipped: row.reason.label(),
            delivery_id: row.delivery.as_ref(),
            created_at: row.at,
        }
    }
}

impl From<Timings> for TimingsView {
    fn from(timings: Timings) -> Self {
        let Timings { dns_ms, connect_ms, tls_ms, first_byte_ms, body_ms } = timings;
        Self { dns_ms, connect_ms, tls_ms, first_byte_ms, body_ms }
    }
}

/// The figures of one webhook.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DeliveryStats"))]
pub(super) struct StatsView {
    /// Attempts.
    total_deliveries: u64,
    /// Those with 2xx.
    successful_count: u64,
    failed_count: u64,
    /// In percent.
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hookswitch_webhooks::{AttemptRow, SkipReason, SkipRow};

    use super::*;

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
            delivery: Some(DeliveryId::parse("d-1").expect("legal")),
            timings: Timings { dns_ms: Some(1), first_byte_ms: Some(5), ..Timings::default() },
            at: Timestamp::from_millis(0),
        };
        assert_eq!(
            serde_json::to_string(&AttemptView::from(&LoggedAttempt { id: 1, row })).expect("prints"),
            r#"{"id":1,"webhook_id":42,"event":"alert","payload":{"event":"alert","n":2.50},"response_code":null,"response_body":null,"error":"timeout","duration_ms":7,"attempt":2,"created_at":"1970-01-01T00:00:00.000Z","delivery_id":"d-1","timings":{"dns_ms":1,"connect_ms":null,"tls_ms":null,"first_byte_ms":5,"body_ms":null}}"#
        );
    }

    #[test]
    fn a_skip_says_why() {
        let row = SkipRow {
            webhook: WebhookId(42),
            delivery: Some(DeliveryId::parse("d-1").expect("legal")),
            event_type: Some(EventType::ALERT),
            reason: SkipReason::Expired,
            at: Timestamp::from_millis(0),
        };
        assert_eq!(
            serde_json::to_string(&SkipView::from(&LoggedSkip { id: 7, row })).expect("prints"),
            r#"{"id":7,"webhook_id":42,"event":"alert","skipped":"expired","delivery_id":"d-1","created_at":"1970-01-01T00:00:00.000Z"}"#
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
