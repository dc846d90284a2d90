//! `webhook.disabled`: a webhook was switched off because its receiver does not take deliveries.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, WebhookId};

/// Which webhook, and why. It holds no URL: those of some services are secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookDisabled {
    /// The webhook's id.
    pub webhook_id: WebhookId,
    /// The name its owner gave it.
    pub name: String,
    /// `failing` or `gone`.
    pub reason: String,
    /// Failed attempts since the last success.
    pub consecutive_failures: u32,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it was switched off.
    pub disabled_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_as_documented() {
        let disabled = WebhookDisabled {
            webhook_id: WebhookId(42),
            name: "CRM".to_owned(),
            reason: "failing".to_owned(),
            consecutive_failures: 12,
            failing_since: Some(Timestamp::from_millis(0)),
            disabled_at: Timestamp::from_millis(1),
        };
        assert_eq!(
            serde_json::to_string(&disabled).expect("prints"),
            r#"{"webhook_id":42,"name":"CRM","reason":"failing","consecutive_failures":12,"failing_since":"1970-01-01T00:00:00.000Z","disabled_at":"1970-01-01T00:00:00.001Z"}"#
        );
    }
}
