//! The body of a create or update: each field of the right type, or named.

use hookswitch_protocol::{ErrorCode, Secret};
use hookswitch_webhooks::WebhookInput;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::http::Problem;

/// The fields, still raw. Others are ignored, so that what GET answers can be sent back by PUT.
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
    is_active: Option<&'a RawValue>,
    #[serde(borrow)]
    retry_count: Option<&'a RawValue>,
    #[serde(borrow)]
    timeout: Option<&'a RawValue>,
}

/// Reads a body.
///
/// # Errors
/// 400 naming the field.
pub(crate) fn parse(body: &[u8]) -> Result<WebhookInput, Problem> {
    let not_json = |message: String| Problem::new(ErrorCode::InvalidJson, format!("the body: {message}"));
    let text = std::str::from_utf8(body).map_err(|e| not_json(e.to_string()))?;
    if !text.trim_start().starts_with('{') {
        return Err(not_json("it must be a JSON object".to_owned()));
    }
    let raw: RawInput<'_> = serde_json::from_str(text).map_err(|e| not_json(e.to_string()))?;
    Ok(WebhookInput {
        name: field("name", raw.name, "must be a string")?,
        url: field("url", raw.url, "must be a string")?,
        events: field("events", raw.events, "must be an array of event types")?,
        secret: field("secret", raw.secret, "must be a string")?.map(|secret: String| Secret::new(secret)),
        is_active: field("is_active", raw.is_active, "must be true or false")?,
        retry_count: field("retry_count", raw.retry_count, "must be a whole number")?,
        timeout: field("timeout", raw.timeout, "must be a whole number of seconds")?,
    })
}

/// `null` counts as absent.
fn field<T: DeserializeOwned>(name: &str, raw: Option<&RawValue>, wanted: &str) -> Result<Option<T>, Problem> {
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
    fn a_wrong_type_is_named() {
        let message = |body: &str| parse(body.as_bytes()).expect_err(body).message.into_owned();
        assert_eq!(message(r#"{"name":5}"#), "name must be a string");
        assert_eq!(message(r#"{"events":"call.*"}"#), "events must be an array of event types");
        assert_eq!(message(r#"{"events":[1]}"#), "events must be an array of event types");
        assert_eq!(message(r#"{"retry_count":1.5}"#), "retry_count must be a whole number");
        assert_eq!(message(r#"{"is_active":"yes"}"#), "is_active must be true or false");
        for bad in ["", "[]", "7", "{", "null"] {
            assert_eq!(parse(bad.as_bytes()).expect_err(bad).code, ErrorCode::InvalidJson);
        }
    }
}
