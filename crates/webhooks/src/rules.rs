//! What a webhook may look like: the check of every create and update.

use hookswitch_protocol::{ErrorCode, EventType, Secret, SubscriptionName};

use crate::directory::{NewWebhook, WebhookChange};
use crate::guard::{Guard, TargetError};
use crate::options::{OptionsChange, WebhookOptions};
use crate::schedule::MAX_RETRIES;
use crate::sender::TIMEOUT_SECS;
use crate::sign;

/// Longest name and secret, in characters, as wide as their columns.
const NAME_CHARS: usize = 255;
/// Most entries in `events`.
const EVENTS: usize = 256;
const DEFAULT_RETRIES: u32 = 3;
const DEFAULT_TIMEOUT_SECS: u32 = 30;

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
    /// On or off; for updates only.
    pub is_active: Option<bool>,
    /// Retries after the first attempt.
    pub retry_count: Option<i64>,
    /// Seconds one attempt may take.
    pub timeout: Option<i64>,
}

/// A field that cannot be accepted. Its text names the field and the limit, and no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct InvalidWebhook {
    /// The field, as the contract spells it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// [`ErrorCode::AddressBlocked`] when the address rules forbid the URL, else [`ErrorCode::InvalidField`].
    pub code: ErrorCode,
}

impl InvalidWebhook {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into(), code: ErrorCode::InvalidField }
    }
}

/// Checks a create, and resolves the URL's name.
pub(crate) async fn check_new(input: WebhookInput, guard: &Guard) -> Result<NewWebhook, InvalidWebhook> {
    let missing = |field| InvalidWebhook::new(field, "is required");
    if input.is_active == Some(false) {
        return Err(InvalidWebhook::new("is_active", "can be set by an update only"));
    }
    let change = check_change(
        WebhookInput {
            retry_count: input.retry_count.or(Some(i64::from(DEFAULT_RETRIES))),
            timeout: input.timeout.or(Some(i64::from(DEFAULT_TIMEOUT_SECS))),
            name: Some(input.name.ok_or_else(|| missing("name"))?),
            url: Some(input.url.ok_or_else(|| missing("url"))?),
            events: Some(input.events.ok_or_else(|| missing("events"))?),
            ..input
        },
        guard,
    )
    .await?;
    Ok(NewWebhook {
        name: change.name.unwrap_or_default(),
        url: change.url.unwrap_or_default(),
        events: change.events.unwrap_or_default(),
        secret: change.secret,
        retry_count: change.retry_count.unwrap_or(DEFAULT_RETRIES),
        timeout_secs: change.timeout_secs.unwrap_or(DEFAULT_TIMEOUT_SECS),
        options: WebhookOptions::default(),
    })
}

/// Checks an update, field by field, and resolves the URL's name when there is one.
pub(crate) async fn check_change(input: WebhookInput, guard: &Guard) -> Result<WebhookChange, InvalidWebhook> {
    let change = WebhookChange {
        name: input.name.map(check_name).transpose()?,
        events: input.events.map(check_events).transpose()?,
        secret: input.secret.map(check_secret).transpose()?,
        is_active: input.is_active,
        retry_count: input.retry_count.map(|n| check_number("retry_count", n, 0, MAX_RETRIES, "")).transpose()?,
        timeout_secs: input
            .timeout
            .map(|n| check_number("timeout", n, *TIMEOUT_SECS.start(), *TIMEOUT_SECS.end(), " seconds"))
            .transpose()?,
        url: None,
        options: OptionsChange::default(),
    };
    let Some(url) = input.url else { return Ok(change) };
    // Last, because only this one may take a while.
    check_url(&url, guard).await?;
    Ok(WebhookChange { url: Some(url), ..change })
}

async fn check_url(url: &str, guard: &Guard) -> Result<(), InvalidWebhook> {
    // The parser drops these without a word, and the column would keep another text than is called.
    if url.trim() != url || url.chars().any(char::is_control) {
        return Err(InvalidWebhook::new("url", "must not begin or end with a blank or hold control characters"));
    }
    guard.check(url).await.map_err(|error| InvalidWebhook {
        code: match error {
            TargetError::Blocked(_) => ErrorCode::AddressBlocked,
            TargetError::Malformed(_) => ErrorCode::InvalidField,
        },
        ..InvalidWebhook::new("url", error.to_string())
    })
}

fn check_chars(field: &'static str, text: &str) -> Result<(), InvalidWebhook> {
    match text.chars().count() {
        0 => Err(InvalidWebhook::new(field, "must not be empty")),
        1..=NAME_CHARS => Ok(()),
        n => Err(InvalidWebhook::new(field, format!("has {n} characters, at most {NAME_CHARS} are allowed"))),
    }
}

fn check_name(name: String) -> Result<String, InvalidWebhook> {
    check_chars("name", &name)?;
    if name.trim().is_empty() {
        return Err(InvalidWebhook::new("name", "must not be blank"));
    }
    Ok(name)
}

fn check_secret(secret: Secret) -> Result<Secret, InvalidWebhook> {
    check_chars("secret", secret.reveal())?;
    sign::standard_key(&secret)
        .map_err(|_| InvalidWebhook::new("secret", "starts with whsec_ but the rest is empty or not base64"))?;
    Ok(secret)
}

fn check_events(events: Vec<String>) -> Result<Vec<String>, InvalidWebhook> {
    if events.is_empty() {
        return Err(InvalidWebhook::new("events", "must name at least one event type"));
    }
    if events.len() > EVENTS {
        let problem = format!("has {} entries, at most {EVENTS} are allowed", events.len());
        return Err(InvalidWebhook::new("events", problem));
    }
    for (i, name) in events.iter().enumerate() {
        event_name(name).map_err(|problem| InvalidWebhook::new("events", format!("entry {i} {problem}")))?;
    }
    Ok(events)
}

/// What clients and server say to each other; nobody can publish it, so no webhook would ever get it.
const CONTROL_WORDS: [EventType; 5] =
    [EventType::PING, EventType::PONG, EventType::ERROR, EventType::SUBSCRIBE, EventType::UNSUBSCRIBE];

/// Reads one entry of `events`: an event type, `call.*` or `*`. Unlike a WebSocket subscription it
/// cannot be a topic, whose names allow more characters, nor a control word.
pub(crate) fn event_name(text: &str) -> Result<SubscriptionName, String> {
    let name = SubscriptionName::parse(text).map_err(|e| e.problem)?;
    let letters = match &name {
        SubscriptionName::Exact(name) => name,
        SubscriptionName::Prefix(prefix) if prefix.is_empty() => return Ok(name),
        SubscriptionName::Prefix(prefix) => prefix,
    };
    let event_type = EventType::parse(letters).map_err(|e| e.problem)?;
    if matches!(name, SubscriptionName::Exact(_)) && CONTROL_WORDS.contains(&event_type) {
        return Err(format!("is {event_type}, a control message that no webhook ever gets"));
    }
    Ok(name)
}

fn check_number(field: &'static str, n: i64, min: u32, max: u32, unit: &str) -> Result<u32, InvalidWebhook> {
    let in_range = u32::try_from(n).ok().filter(|n| (min..=max).contains(n));
    in_range.ok_or_else(|| InvalidWebhook::new(field, format!("is {n}, must be {min} to {max}{unit}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::AddressPolicy;

    fn strict() -> Guard {
        Guard::new(AddressPolicy::strict())
    }

    fn good() -> WebhookInput {
        WebhookInput {
            name: Some("CRM".to_owned()),
            url: Some("https://93.184.216.34/hook".to_owned()),
            events: Some(vec!["call.incoming".to_owned(), "queue.*".to_owned(), "*".to_owned()]),
            ..WebhookInput::default()
        }
    }

    async fn refused(input: WebhookInput) -> InvalidWebhook {
        check_new(input, &strict()).await.expect_err("must be refused")
    }

    #[tokio::test]
    async fn a_good_one_gets_the_defaults() {
        let made = check_new(good(), &strict()).await.expect("good");
        assert_eq!((made.retry_count, made.timeout_secs, made.secret), (3, 30, None));
        let none = check_change(WebhookInput::default(), &strict()).await;
        assert_eq!(none, Ok(WebhookChange::default()), "an empty update changes nothing");
    }

    #[tokio::test]
    async fn each_mistake_is_named_with_its_limit() {
        let text = |n: usize| Some("x".repeat(n));
        let secret = |text: &str| Some(Secret::new(text));
        let cases = [
            (WebhookInput { name: None, ..good() }, "name is required"),
            (WebhookInput { name: text(0), ..good() }, "name must not be empty"),
            (WebhookInput { name: Some("  ".into()), ..good() }, "name must not be blank"),
            (WebhookInput { name: text(256), ..good() }, "name has 256 characters, at most 255 are allowed"),
            (WebhookInput { url: None, ..good() }, "url is required"),
            (WebhookInput { url: text(501), ..good() }, "url has 501 characters, at most 500 are allowed"),
            (WebhookInput { url: Some("http://example.com".into()), ..good() }, "url must start with https://"),
            (WebhookInput { events: None, ..good() }, "events is required"),
            (WebhookInput { events: Some(vec![]), ..good() }, "events must name at least one event type"),
            (WebhookInput { events: Some(vec!["a".into(); 257]), ..good() }, "events has 257 entries, at most 256"),
            (WebhookInput { events: Some(vec!["a".into(), "Ab".into()]), ..good() }, "events entry 1 holds 'A'"),
            (WebhookInput { events: Some(vec!["ca*l".into()]), ..good() }, "events entry 0 holds '*'"),
            (WebhookInput { secret: secret(""), ..good() }, "secret must not be empty"),
            (WebhookInput { secret: secret(&"x".repeat(256)), ..good() }, "secret has 256 characters"),
            (WebhookInput { events: Some(vec!["ping".into()]), ..good() }, "events entry 0 is ping, a control message"),
            (WebhookInput { secret: secret("whsec_%"), ..good() }, "secret starts with whsec_ but"),
            (WebhookInput { secret: secret("whsec_"), ..good() }, "secret starts with whsec_ but the rest is empty"),
            (WebhookInput { retry_count: Some(21), ..good() }, "retry_count is 21, must be 0 to 20"),
            (WebhookInput { retry_count: Some(-1), ..good() }, "retry_count is -1"),
            (WebhookInput { timeout: Some(0), ..good() }, "timeout is 0, must be 1 to 120 seconds"),
            (WebhookInput { timeout: Some(i64::MAX), ..good() }, "timeout is 9223372036854775807"),
            (WebhookInput { is_active: Some(false), ..good() }, "is_active can be set by an update only"),
        ];
        for (input, wanted) in cases {
            let shown = format!("{input:?}");
            let error = refused(input).await;
            assert!(error.to_string().starts_with(wanted), "{shown}: {error}");
            assert_eq!(error.code, ErrorCode::InvalidField, "{error}");
        }
    }

    #[test]
    fn control_words_are_refused_and_only_they() {
        for word in CONTROL_WORDS {
            assert!(event_name(word.as_str()).is_err(), "{word}");
        }
        for fine in ["ping.*", "pings", "error.log", "webhook.test", "presence.changed", "*"] {
            assert!(event_name(fine).is_ok(), "{fine}");
        }
    }

    #[tokio::test]
    async fn blanks_around_a_url_and_line_breaks_in_it_are_not_swallowed() {
        let fine = "https://93.184.216.34/hook";
        for url in [format!(" {fine}"), format!("{fine} "), format!("{fine}\n"), fine.replace("hook", "ho\tok")] {
            let error = refused(WebhookInput { url: Some(url.clone()), ..good() }).await;
            assert_eq!((error.field, error.code), ("url", ErrorCode::InvalidField), "{url:?}");
            assert!(error.problem.contains("blank"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_blocked_address_has_its_own_code_and_is_not_repeated() {
        for url in ["https://169.254.169.254/", "https://[::ffff:10.0.0.1]/", "https://localhost/"] {
            let error = refused(WebhookInput { url: Some(url.to_owned()), ..good() }).await;
            assert_eq!((error.field, error.code), ("url", ErrorCode::AddressBlocked), "{url}");
            assert!(!error.problem.contains("10.0") && !error.problem.contains("169"), "{error}");
        }
    }
}
