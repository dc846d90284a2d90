//! What a client asked for, before it is checked.

use std::collections::BTreeMap;

use hookswitch_protocol::Secret;

/// What a client asked for, of the right JSON types and otherwise unchecked; absent fields are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookInput {
    /// For people; required on create.
    pub name: Option<String>,
    /// Where deliveries go; required on create.
    pub url: Option<String>,
    /// Event types and patterns such as `call.*` or `*`; required on create.
    pub events: Option<Vec<String>>,
    /// Signs deliveries.
    pub secret: Option<Secret>,
    /// Whether we make the secret: `whsec_` and the base64 of 32 random bytes. Not beside `secret`. It
    /// is in force at once; [`Webhooks::rotate_secret`](crate::Webhooks::rotate_secret) keeps the
    /// former one valid for a while.
    pub generate_secret: Option<bool>,
    /// On or off; for updates only.
    pub is_active: Option<bool>,
    /// Retries after the first attempt.
    pub retry_count: Option<i64>,
    /// Seconds one attempt may take.
    pub timeout: Option<i64>,
    /// Everything else.
    pub options: OptionsInput,
}

/// The options a client asked for, by the names and in the units of
/// [`WebhookOptions`](crate::WebhookOptions).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionsInput {
    /// `standard` or `durable`; created as durable without a retry count, a webhook gets 10 retries.
    pub retry_profile: Option<String>,
    /// Any of 408, 425 and 429.
    pub retry_statuses: Option<Vec<i64>>,
    /// 1 to 100; 0 for the node's default.
    pub max_in_flight: Option<i64>,
    /// Per second, 1 to 10,000; 0 for none.
    pub rate_limit: Option<i64>,
    /// Event type or pattern to seconds, 0 to 604,800; at most 64 entries.
    pub expiry: Option<BTreeMap<String, i64>>,
    /// `call` or `none`.
    pub ordered_by: Option<String>,
    /// Name to value, at most 20; [`HEADER_MASK`](crate::HEADER_MASK) keeps the value there is.
    pub headers: Option<BTreeMap<String, Secret>>,
}
