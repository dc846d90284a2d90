//! What these endpoints take and answer, for the catalogue.

use std::collections::BTreeMap;

use hookswitch_protocol::{DeliveryId, ErrorCode, EventType, Timestamp, WebhookId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::log_views::{AttemptView, LogEntryView, StatsView};
use super::views::{EnabledView, ResentView, TestView, WebhookView};
use crate::catalogue::operation::{Operation, operation};
use crate::routes::Endpoint;

/// A webhook that is to be made. `null` is the same as leaving a field out.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "fields of a schema")]
struct NewWebhook {
    #[schemars(length(min = 1, max = 255))]
    name: String,
    /// Without user name and password; `https://`, and to a public address, unless the operator allows others.
    #[schemars(length(max = 500), regex(pattern = r"^https?://"), extend("format" = "uri"))]
    url: String,
    /// What it is told.
    #[schemars(length(min = 1, max = 256))]
    events: Vec<EventPattern>,
    #[serde(flatten)]
    choices: WebhookChoices,
}

/// What is to be changed of a webhook; what is left out, or `null`, stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "fields of a schema")]
struct WebhookChange {
    #[schemars(length(min = 1, max = 255))]
    name: Option<String>,
    /// Without user name and password; `https://`, and to a public address, unless the operator allows others.
    #[schemars(length(max = 500), regex(pattern = r"^https?://"), extend("format" = "uri"))]
    url: Option<String>,
    /// What it is told.
    #[schemars(length(min = 1, max = 256))]
    events: Option<Vec<EventPattern>>,
    /// Off: what happens meanwhile is missed, and can be delivered later.
    is_active: Option<bool>,
    #[serde(flatten)]
    choices: WebhookChoices,
}

/// What may be chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "fields of a schema")]
struct WebhookChoices {
    /// Signs the requests; never shown again. After `whsec_` there must be base64.
    #[schemars(length(min = 1, max = 255))]
    secret: Option<String>,
    /// `true`, and no `secret`: we make one, and answer it once.
    generate_secret: Option<bool>,
    /// Retries after the first attempt, by default 3.
    #[schemars(range(min = 0, max = 20))]
    retry_count: Option<u32>,
    /// Seconds that one attempt may take in all, by default 30.
    #[schemars(range(min = 1, max = 120))]
    timeout: Option<u32>,
    /// When retries are made.
    retry_profile: Option<RetryProfile>,
    /// Statuses that are tried again beside 5xx.
    retry_statuses: Option<Vec<RetryStatus>>,
    /// Requests at once; 0 is the server's.
    #[schemars(range(min = 0, max = 100))]
    max_in_flight: Option<u32>,
    /// Attempts started per second and node; 0 is no limit.
    #[schemars(range(min = 0, max = 10_000))]
    rate_limit: Option<u32>,
    /// Seconds for which an event is worth sending, by type or pattern; 0 is for ever.
    #[schemars(extend("maxProperties" = 64, "propertyNames" = {"pattern": PATTERN, "maxLength": 100}))]
    expiry: Option<BTreeMap<String, Seconds>>,
    /// Whether deliveries of one call go in order.
    ordered_by: Option<OrderedBy>,
    /// Sent with every attempt; `***` keeps the value there is. At most 8 KiB together; some names are reserved.
    #[schemars(extend("maxProperties" = 20, "propertyNames" = {
        "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "maxLength": 100
    }))]
    headers: Option<BTreeMap<String, HeaderValue>>,
}

/// Up to a week.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "a schema")]
struct Seconds(#[schemars(range(min = 0, max = 604_800))] u32);

/// Visible ASCII characters, and blanks between them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "a schema")]
struct HeaderValue(#[schemars(length(max = 1_024), regex(pattern = r"^[!-~]([ -~]*[!-~])?$"))] String);

const PATTERN: &str = r"^([a-z0-9_.-]+|[a-z0-9_.-]*\.\*|\*)$";
const OF_WEBHOOKS: &str = "^w(0|[1-9][0-9]{0,17})$";
const OF_ATTEMPTS: &str = r"^a(0|[1-9][0-9]{0,13})\.(0|[1-9][0-9]{0,17})$";
const OF_ENTRIES: &str = r"^[as](0|[1-9][0-9]{0,13})\.(0|[1-9][0-9]{0,17})$";

/// An event type, a pattern such as `call.*`, or `*`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "a schema")]
struct EventPattern(#[schemars(length(min = 1, max = 100), regex(pattern = PATTERN))] String);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum RetryProfile {
    Standard,
    Durable,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(inline, extend("enum" = [408, 425, 429]))]
#[expect(dead_code, reason = "a schema")]
struct RetryStatus(u16);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum OrderedBy {
    Call,
    None,
}

/// The new secret, and how long the former one stays valid beside it.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "fields of a schema")]
struct RotationBody {
    /// Without it we make one, and answer it once.
    #[schemars(length(min = 1, max = 255))]
    secret: Option<String>,
    /// By default 86,400, a day.
    #[schemars(range(min = 0, max = 604_800))]
    overlap_seconds: Option<u32>,
}

/// What is to be delivered of what was missed.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "fields of a schema")]
struct EnableBody {
    /// Of events accepted since then; without it nothing is.
    deliver_missed_since: Option<Timestamp>,
}

/// What is to be sent again.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "fields of a schema")]
struct ResendBody {
    /// All that ended without a 2xx, of events accepted since then.
    since: Timestamp,
}

const MINE: ErrorCode = ErrorCode::NotFound;
const BODY: [ErrorCode; 3] = [ErrorCode::InvalidJson, ErrorCode::InvalidField, ErrorCode::TooLarge];

/// All endpoints of webhooks.
pub(crate) fn operations() -> Vec<Operation> {
    [registrations(), deeds(), history()].into_iter().flatten().collect()
}

fn registrations() -> Vec<Operation> {
    let [json, field, large] = BODY;
    let example =
        json!({"name": "CRM", "url": "https://crm.example.com/hook", "events": ["call.*"], "generate_secret": true});
    vec![
        operation(Endpoint::WebhookCreate, "Create a webhook")
            .body::<NewWebhook>(example)
            .answers::<WebhookView<'_>>(201, "The webhook, with a secret that we made.")
            .fails(&[json, field, large, ErrorCode::AddressBlocked, ErrorCode::Conflict]),
        operation(Endpoint::WebhookList, "List webhooks")
            .paged(100, OF_WEBHOOKS)
            .lists::<WebhookView<'_>>("The tenant's webhooks.")
            .fails(&[field, ErrorCode::Overloaded]),
        operation(Endpoint::WebhookGet, "Read one webhook")
            .of_one()
            .answers::<WebhookView<'_>>(200, "The webhook.")
            .fails(&[MINE]),
        operation(Endpoint::WebhookUpdate, "Change a webhook")
            .details("The fields given are changed, the others left.")
            .of_one()
            .body::<WebhookChange>(json!({"retry_count": 10, "retry_profile": "durable"}))
            .answers::<WebhookView<'_>>(200, "The webhook as it is now.")
            .fails(&[MINE, json, field, large, ErrorCode::AddressBlocked, ErrorCode::Conflict]),
        operation(Endpoint::WebhookDelete, "Delete a webhook")
            .details("Its secrets and options are gone at once, its log stays for its retention.")
            .of_one()
            .answers::<()>(200, "It is gone.")
            .fails(&[MINE]),
    ]
}

fn deeds() -> Vec<Operation> {
    let [json, field, large] = BODY;
    vec![
        operation(Endpoint::WebhookTest, "Send a `webhook.test` now, and wait")
            .of_one()
            .answers::<TestView>(200, "How it went.")
            .fails(&[MINE, ErrorCode::Overloaded]),
        operation(Endpoint::WebhookRotate, "Replace the secret, with an overlap")
            .of_one()
            .optional_body::<RotationBody>(json!({"overlap_seconds": 3600}))
            .answers::<WebhookView<'_>>(200, "The webhook, with a secret that we made.")
            .fails(&[MINE, json, field, large, ErrorCode::Conflict]),
        operation(Endpoint::WebhookEnable, "Switch it on, and deliver what it missed")
            .of_one()
            .optional_body::<EnableBody>(json!({"deliver_missed_since": "2026-01-01T00:00:00Z"}))
            .answers::<EnabledView<'_>>(200, "The webhook, and what is delivered.")
            .fails(&[MINE, json, field, large]),
        operation(Endpoint::WebhookResend, "Send again what failed")
            .of_one()
            .body::<ResendBody>(json!({"since": "2026-01-01T00:00:00Z"}))
            .answers::<ResentView>(200, "How much is sent again.")
            .fails(&[MINE, json, field, large, ErrorCode::Conflict, ErrorCode::Overloaded]),
        operation(Endpoint::DeliveryResend, "Send one delivery again")
            .of_one()
            .path::<DeliveryId>("delivery_id", "Of a line of the log.", json!({}))
            .answers::<ResentView>(200, "It is sent again.")
            .fails(&[MINE, ErrorCode::Conflict, ErrorCode::Overloaded]),
    ]
}

fn history() -> Vec<Operation> {
    vec![
        operation(Endpoint::WebhookLogs, "What was tried, newest first")
            .of_one()
            .paged(50, OF_ENTRIES)
            .query::<EventType>("event", "Only of this event type.", json!({}))
            .query::<String>(
                "status",
                "Only `success` (2xx), `failed` (anything else), or one status.",
                json!({"pattern": "^(success|failed|[1-9][0-9][0-9])$"}),
            )
            .query::<Timestamp>("since", "Only from this moment on.", json!({}))
            .query::<DeliveryId>("delivery_id", "Only of this delivery.", json!({}))
            .query::<String>("include", "`skipped`: also what was not sent.", json!({"enum": ["skipped"]}))
            .lists::<LogEntryView<'_>>("Attempts, and skips where they are included.")
            .fails(&[MINE, ErrorCode::InvalidField, ErrorCode::Overloaded]),
        operation(Endpoint::WebhookStats, "Figures of a webhook")
            .of_one()
            .query::<Timestamp>("since", "By default the last 24 hours.", json!({}))
            .answers::<StatsView>(200, "Its figures.")
            .fails(&[MINE, ErrorCode::InvalidField, ErrorCode::Overloaded]),
        operation(Endpoint::WebhookFailed, "The tenant's attempts without a 2xx, newest first")
            .paged(50, OF_ATTEMPTS)
            .query::<Timestamp>("since", "By default the last hour.", json!({}))
            .lists::<AttemptView<'_>>("Attempts, also those of deliveries that succeeded later.")
            .fails(&[ErrorCode::InvalidField, ErrorCode::Overloaded]),
    ]
}

impl Operation {
    /// About the webhook in the path.
    fn of_one(self) -> Self {
        self.path::<WebhookId>("id", "The webhook's id.", json!({"minimum": 1}))
    }
}
