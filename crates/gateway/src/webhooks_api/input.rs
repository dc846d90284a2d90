//! The body of a create or update: each field of the right type, or named.

use std::collections::BTreeMap;

use hookswitch_protocol::Secret;
use hookswitch_webhooks::{OptionsInput, WebhookInput};

use super::fields::Fields;
use crate::http::Problem;

/// Reads a body. Fields that the contract does not know are ignored, so that what GET answers can be sent
/// back by PUT.
///
/// # Errors
/// 400 naming the field.
pub(super) fn parse(body: &[u8]) -> Result<WebhookInput, Problem> {
    let fields = Fields::parse(body)?;
    Ok(WebhookInput {
        name: fields.get("name", "must be a string")?,
        url: fields.get("url", "must be a string")?,
        events: fields.get("events", "must be an array of event types")?,
        secret: fields.get("secret", "must be a string")?.map(|secret: String| Secret::new(secret)),
        generate_secret: fields.get("generate_secret", "must be true or false")?,
        is_active: fields.get("is_active", "must be true or false")?,
        retry_count: fields.get("retry_count", "must be a whole number")?,
        timeout: fields.get("timeout", "must be a whole number of seconds")?,
        options: options(&fields)?,
    })
}

fn options(fields: &Fields<'_>) -> Result<OptionsInput, Problem> {
    let headers = fields.get("headers", "must be an object of header names and their values as strings")?;
    let secret = |(name, value): (String, String)| (name, Secret::new(value));
    Ok(OptionsInput {
        retry_profile: fields.get("retry_profile", "must be \"standard\" or \"durable\"")?,
        retry_statuses: fields.get("retry_statuses", "must be an array of HTTP statuses")?,
        max_in_flight: fields.get("max_in_flight", "must be a whole number")?,
        rate_limit: fields.get("rate_limit", "must be a whole number per second")?,
        expiry: fields.get("expiry", "must be an object of event types and their whole seconds")?,
        ordered_by: fields.get("ordered_by", "must be \"call\" or \"none\"")?,
        headers: headers.map(|headers: BTreeMap<String, String>| headers.into_iter().map(secret).collect()),
    })
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::ErrorCode;

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
