//! What callers see of a webhook: never a secret, but for one that we made, in the answer that tells of it.

use std::collections::BTreeMap;

use hookswitch_protocol::{Secret, TenantId, Timestamp, WebhookId};
use hookswitch_webhooks::{CustomHeader, HEADER_MASK, OrderedBy, Resent, TestReport, Webhook};
use serde::{Serialize, Serializer};

/// A registration: the contract's fields, then ours.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Webhook"))]
pub(super) struct WebhookView<'a> {
    id: WebhookId,
    tenant_id: &'a TenantId,
    name: &'a str,
    url: &'a str,
    /// Event types, `call.*`, or `*`.
    events: &'a [String],
    is_active: bool,
    /// Retries after the first attempt.
    retry_count: u32,
    /// Seconds that one attempt may take.
    timeout: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[cfg_attr(test, schemars(extend("enum" = ["standard", "durable"])))]
    retry_profile: &'static str,
    retry_statuses: &'a [u16],
    /// Requests at once; 0 is the server's.
    max_in_flight: u32,
    /// Attempts per second and node; 0 is no limit.
    rate_limit: u32,
    /// Seconds for which an event is worth sending, by type or pattern; 0 is for ever.
    expiry: &'a BTreeMap<String, u32>,
    #[cfg_attr(test, schemars(extend("enum" = ["call", "none"])))]
    ordered_by: &'static str,
    /// Names of custom headers; values are masked.
    #[serde(serialize_with = "masked")]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    headers: &'a [CustomHeader],
    secret_set: bool,
    /// While a former secret still signs.
    previous_secret_valid_until: Option<Timestamp>,
    /// The end of the last attempt.
    last_triggered_at: Option<Timestamp>,
    health: HealthView,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_secret: Option<&'a str>,
    #[serde(skip)]
    webhook: &'a Webhook,
}

/// How its receiver has been doing.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WebhookHealth"))]
struct HealthView {
    /// The first failed attempt since the last success.
    failing_since: Option<Timestamp>,
    consecutive_failures: u32,
    disabled_at: Option<Timestamp>,
    /// `failing` or `gone`.
    disabled_reason: Option<&'static str>,
    #[cfg_attr(test, schemars(extend("enum" = ["closed", "open", "half_open"])))]
    breaker: &'static str,
}

impl<'a> WebhookView<'a> {
    /// As it is at `now`; what a default stands for is shown as it would be written.
    pub(super) fn new(webhook: &'a Webhook, breaker: &'static str, now: Timestamp) -> Self {
        let options = &webhook.options;
        let previous = webhook.previous_secret.as_ref().map(|previous| previous.valid_until);
        Self {
            id: webhook.id,
            tenant_id: &webhook.tenant,
            name: &webhook.name,
            url: &webhook.url,
            events: &webhook.events,
            is_active: webhook.is_active,
            retry_count: webhook.retry_count,
            timeout: webhook.timeout_secs,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            retry_profile: options.retry_profile.label(),
            retry_statuses: &options.retry_statuses,
            max_in_flight: options.max_in_flight.unwrap_or(0),
            rate_limit: options.rate_limit.unwrap_or(0),
            expiry: &options.expiry,
            ordered_by: options.ordered_by.map_or("none", OrderedBy::label),
            headers: &options.headers,
            secret_set: webhook.secret.is_some(),
            previous_secret_valid_until: previous.filter(|until| *until > now),
            last_triggered_at: webhook.last_triggered_at,
            health: HealthView::new(webhook, breaker),
            generated_secret: None,
            webhook,
        }
    }

    /// With the secret itself.
    pub(super) fn with_secret(self) -> Self {
        let secret = self.webhook.secret.as_ref();
        Self { generated_secret: secret.map(Secret::reveal), ..self }
    }
}

impl HealthView {
    fn new(webhook: &Webhook, breaker: &'static str) -> Self {
        let health = &webhook.health;
        Self {
            failing_since: health.failing_since,
            consecutive_failures: health.n_failures,
            disabled_at: health.disabled.map(|disabled| disabled.at),
            disabled_reason: health.disabled.map(|disabled| disabled.reason.label()),
            breaker,
        }
    }
}

/// The names; a value may be somebody's API key.
fn masked<S: Serializer>(headers: &&[CustomHeader], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(headers.iter().map(|header| (&header.name, HEADER_MASK)))
}

/// A webhook that was switched on, and what it gets now.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "EnabledWebhook"))]
pub(super) struct EnabledView<'a> {
    #[serde(flatten)]
    pub(super) webhook: WebhookView<'a>,
    #[serde(flatten)]
    pub(super) missed: ResentView,
}

/// What was made due again.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Resent"))]
pub(super) struct ResentView {
    /// Deliveries that are due again.
    queued: u64,
    /// Whether there were more than one call takes.
    has_more: bool,
}

impl From<Resent> for ResentView {
    fn from(resent: Resent) -> Self {
        Self { queued: resent.n_queued, has_more: resent.has_more }
    }
}

/// How a test delivery went.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TestReport"))]
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
    use hookswitch_webhooks::{
        DisableReason, Disabled, NewWebhook, PreviousSecret, RetryProfile, WebhookHealth, WebhookOptions,
    };

    use super::*;

    fn webhook(options: WebhookOptions) -> Webhook {
        let new = NewWebhook {
            name: "CRM".to_owned(),
            url: "https://x.example/".to_owned(),
            events: vec!["call.*".to_owned()],
            secret: Some(Secret::new("hush")),
            retry_count: 3,
            timeout_secs: 30,
            options,
        };
        let tenant = TenantId::parse("t").expect("legal");
        let webhook = Webhook::new(WebhookId(42), tenant, new, at(0));
        Webhook { updated_at: at(1), ..webhook }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn print(view: &impl Serialize) -> String {
        serde_json::to_string(view).expect("prints")
    }

    const CONTRACT: &str = r#"{"id":42,"tenant_id":"t","name":"CRM","url":"https://x.example/","events":["call.*"],"is_active":true,"retry_count":3,"timeout":30,"created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.001Z","#;

    #[test]
    fn a_webhook_shows_the_contracts_fields_first_and_no_secret() {
        let ours = r#""retry_profile":"standard","retry_statuses":[],"max_in_flight":0,"rate_limit":0,"expiry":{},"ordered_by":"none","headers":{},"secret_set":true,"previous_secret_valid_until":null,"last_triggered_at":null,"health":{"failing_since":null,"consecutive_failures":0,"disabled_at":null,"disabled_reason":null,"breaker":"closed"}}"#;
        let webhook = webhook(WebhookOptions::default());
        assert_eq!(print(&WebhookView::new(&webhook, "closed", at(5))), format!("{CONTRACT}{ours}"));
    }

    #[test]
    fn everything_that_is_set_is_shown_and_nothing_that_is_secret() {
        let options = WebhookOptions {
            retry_profile: RetryProfile::Durable,
            retry_statuses: vec![408, 429],
            max_in_flight: Some(2),
            rate_limit: Some(5),
            expiry: [("queue.*".to_owned(), 30)].into(),
            ordered_by: Some(OrderedBy::Call),
            headers: vec![CustomHeader { name: "X-Key".to_owned(), value: Secret::new("hush") }],
        };
        let disabled = Some(Disabled { reason: DisableReason::Gone, at: at(3) });
        let webhook = Webhook {
            previous_secret: Some(PreviousSecret { secret: Secret::new("hush"), valid_until: at(6) }),
            health: WebhookHealth { failing_since: Some(at(2)), n_failures: 7, disabled },
            last_triggered_at: Some(at(4)),
            ..webhook(options)
        };
        let ours = r#""retry_profile":"durable","retry_statuses":[408,429],"max_in_flight":2,"rate_limit":5,"expiry":{"queue.*":30},"ordered_by":"call","headers":{"X-Key":"***"},"secret_set":true,"previous_secret_valid_until":"1970-01-01T00:00:00.006Z","last_triggered_at":"1970-01-01T00:00:00.004Z","health":{"failing_since":"1970-01-01T00:00:00.002Z","consecutive_failures":7,"disabled_at":"1970-01-01T00:00:00.003Z","disabled_reason":"gone","breaker":"open"}}"#;
        assert_eq!(print(&WebhookView::new(&webhook, "open", at(5))), format!("{CONTRACT}{ours}"));
        let later = serde_json::to_value(WebhookView::new(&webhook, "open", at(6))).expect("prints");
        assert!(later["previous_secret_valid_until"].is_null(), "it is over");
        assert_eq!(later["generated_secret"], serde_json::Value::Null);
    }

    #[test]
    fn a_secret_we_made_comes_last_and_only_when_told_to() {
        let webhook = webhook(WebhookOptions::default());
        let view = || WebhookView::new(&webhook, "closed", at(5));
        assert!(print(&view().with_secret()).ends_with(r#""breaker":"closed"},"generated_secret":"hush"}"#));
        let missed = Resent { n_queued: 3, has_more: true }.into();
        let enabled = print(&EnabledView { webhook: view(), missed });
        assert!(enabled.starts_with(CONTRACT) && enabled.ends_with(r#","queued":3,"has_more":true}"#), "{enabled}");
        assert!(!enabled.contains("hush"));
    }
}
