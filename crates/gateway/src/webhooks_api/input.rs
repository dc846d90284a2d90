//! The body of a create or update: each field of the right type, or named.

use std::collections::BTreeMap;

use hookswitch_protocol::{ErrorCode, Secret};
use hookswitch_webhooks::{OptionsInput, WebhookInput};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::http::Problem;

/// The contract's fields, still raw. Others are ignored, so that what GET answers can be sent back by
/// PUT.
#[derive(Debug, Deserialize)]
struct RawInput<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow)]
    secret: Option<&'a RawValue>,
    #[serde(borrow)]
    generate_secret: Option<&'a RawValue>,
    #[serde(borrow)]
    is_active: Option<&'a RawValue>,
    #[serde(borrow)]
    retry_count: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
}

/// The options, of the same object.
#[derive(Debug, Deserialize)]
struct RawOptions<'a> {
    #[serde(borrow)]
    retry_profile: Option<&'a RawValue>,
    #[serde(borrow)]
    retry_statuses: Option<&'a RawValue>,
    #[serde(borrow)]
    max_in_flight: Option<&'a RawValue>,
    #[serde(borrow)]
    rate_limit: Option<&'a RawValue>,
    #[serde(borrow)]
    expiry: Option<&'a RawValue>,
    #[serde(borrow)]
    ordered_by: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
}

/// Reads a body.
///
/// # Errors
/// 400 naming the field.
pub(super) fn parse(body: &[u8]) -> Result<WebhookInput, Problem> {
    let raw: RawInput<'_> = object(body)?;
    Ok(WebhookInput {
        name: field("name", raw.name, "must be a string")?,
        url: field("url", raw.url, "must be a string")?,
        events: field("events", raw.events, "must be an array of event types")?,
        secret: field("secret", raw.secret, "must be a string")?.map(|secret: String| Secret::new(secret)),
        generate_secret: field("generate_secret", raw.generate_secret, "must be true or false")?,
        is_active: field("is_active", raw.is_active, "must be true or false")?,
        retry_count: field("retry_count", raw.retry_count, "must be a whole number")?,
        timeout: field("timeout", raw.timeout, "must be a whole number of seconds")?,
        options: options(&object(body)?)?,
    })
}

fn options(raw: &RawOptions<'_>) -> Result<OptionsInput, Problem> {
    let headers = field("headers", raw.headers, "must be an object of header names and their values as strings")?;
    let secret = |(name, value): (String, String)| (name, Secret::new(value));
    Ok(OptionsInput {
        retry_profile: field("retry_profile", raw.retry_profile, "must be \"standard\" or \"durable\"")?,
        retry_statuses: field("retry_statuses", raw.retry_statuses, "must be an array of HTTP statuses")?,
        max_in_flight: field("max_in_flight", raw.max_in_flight, "must be a whole number")?,
        rate_limit: field("rate_limit", raw.rate_limit, "must be a whole number per second")?,
        expiry: field("expiry", raw.expiry, "must be an object of event types and their whole seconds")?,
        ordered_by: field("ordered_by", raw.ordered_by, "must be \"call\" or \"none\"")?,
        headers: headers.map(|headers: BTreeMap<String, String>| headers.into_iter().map(secret).collect()),
    })
}

/// Reads an object; its fields stay raw.
///
/// # Errors
/// 400, the body being no JSON object.
pub(super) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let not_json = |message: String| Problem::new(ErrorCode::InvalidJson, format!("the body: {message}"));
    let text = std::str::from_utf8(body).map_err(|e| not_json(e.to_string()))?;
    if !text.trim_start().starts_with('{') {
        return Err(not_json("it must be a JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|e| not_json(e.to_string()))
}

/// `null` counts as absent.
pub(super) fn field<T: DeserializeOwned>(
    name: &str,
    raw: Option<&RawValue>,
    wanted: &str,
) -> Result<Option<T>, Problem> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) => serde_json::from_str(text).map(Some).map_err(|_| Problem::field(name, wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_others_ignored() {
        let body = br#"{"id":1,"name":"CRM","url":"https://x.example/","events":["call.*"],"secret":null,"timeout":5}"#;
        let input = parse(body).expect("good");
        assert_eq!(input.name.as_deref(), Some("CRM"));
        assert_eq!(input.events, Some(vec!["call.*".to_owned()]));
        assert_eq!((input.secret, input.timeout, input.is_active), (None, Some(5), None));
    }

    #[test]
    fn options_are_read() {
        let body = br#"{"retry_profile":"durable","retry_statuses":[429],"max_in_flight":2,"rate_limit":5,
            "expiry":{"queue.*":30},"ordered_by":"call","headers":{"X-Key":"k"},"generate_secret":true}"#;
        let input = parse(body).expect("good");
        let options = input.options;
        assert_eq!((options.retry_profile.as_deref(), options.retry_statuses), (Some("durable"), Some(vec![429])));
        assert_eq!((options.max_in_flight, options.rate_limit), (Some(2), Some(5)));
        assert_eq!(options.expiry, Some([("queue.*".to_owned(), 30)].into()));
        assert_eq!((options.ordered_by.as_deref(), input.generate_secret), (Some("call"), Some(true)));
        assert_eq!(options.headers, Some([("X-Key".to_owned(), Secret::new("k"))].into()));
    }

    #[test]
    fn a_wrong_type_is_named() {
        let message = |body: &str| parse(body.as_bytes()).expect_err(body).message.into_owned();
        assert_eq!(message(r#"{"name":5}"#), "name must be a string");
        assert_eq!(message(r#"{"events":"call.*"}"#), "events must be an array of event types");
        assert_eq!(message(r#"{"events":[1]}"#), "events must be an array of event types");
        assert_eq!(message(r#"{"retry_count":1.5}"#), "retry_count must be a whole number");
        assert_eq!(message(r#"{"is_active":"yes"}"#), "is_active must be true or false");
        assert!(message(r#"{"retry_profile":1}"#).starts_with("retry_profile must be"));
        assert!(message(r#"{"retry_statuses":["429"]}"#).starts_with("retry_statuses must be"));
        assert!(message(r#"{"max_in_flight":"5"}"#).starts_with("max_in_flight must be"));
        assert!(message(r#"{"rate_limit":0.5}"#).starts_with("rate_limit must be"));
        assert!(message(r#"{"expiry":{"a":"30s"}}"#).starts_with("expiry must be"));
        assert!(message(r#"{"expiry":[]}"#).starts_with("expiry must be"));
        assert!(message(r#"{"ordered_by":true}"#).starts_with("ordered_by must be"));
        assert!(message(r#"{"headers":{"X-A":5}}"#).starts_with("headers must be"));
        assert!(message(r#"{"generate_secret":"yes"}"#).starts_with("generate_secret must be"));
        for bad in ["", "[]", "7", "{", "null"] {
            assert_eq!(parse(bad.as_bytes()).expect_err(bad).code, ErrorCode::InvalidJson);
        }
    }
}
