//! The bodies of what is done with a webhook: small objects, of which most may be left out.

use hookswitch_protocol::{Secret, Timestamp};
use hookswitch_webhooks::Rotation;

use super::fields::Fields;
use crate::http::Problem;

/// `{secret?, overlap_seconds?}`; no body is the same as an empty object.
pub(super) fn rotation(body: &[u8]) -> Result<Rotation, Problem> {
    let fields = Fields::parse(or_empty(body))?;
    Ok(Rotation {
        secret: fields.get("secret", "must be a string")?.map(|secret: String| Secret::new(secret)),
        overlap_seconds: fields.get("overlap_seconds", "must be a whole number of seconds")?,
    })
}

/// `{deliver_missed_since?}`; no body is the same as an empty object.
pub(super) fn missed_since(body: &[u8]) -> Result<Option<Timestamp>, Problem> {
    moment(body, "deliver_missed_since")
}

/// `{since}`.
pub(super) fn failed_since(body: &[u8]) -> Result<Timestamp, Problem> {
    moment(body, "since")?.ok_or_else(|| Problem::field("since", "is required: a moment as RFC 3339"))
}

fn moment(body: &[u8], name: &str) -> Result<Option<Timestamp>, Problem> {
    let text: Option<String> = Fields::parse(or_empty(body))?.get(name, "must be a moment as RFC 3339")?;
    text.map(|text| Timestamp::parse(&text).map_err(|e| Problem::field(name, &e.to_string()))).transpose()
}

fn or_empty(body: &[u8]) -> &[u8] {
    if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body }
}

#[cfg(test)]
mod tests {
    use hookswitch_protocol::ErrorCode;

    use super::*;

    #[test]
    fn bodies_may_be_left_out_where_nothing_is_required() {
        for body in ["", " \n", "{}", r#"{"secret":null,"deliver_missed_since":null,"x":1}"#] {
            assert_eq!(rotation(body.as_bytes()), Ok(Rotation::default()), "{body}");
            assert_eq!(missed_since(body.as_bytes()), Ok(None), "{body}");
            let problem = failed_since(body.as_bytes()).expect_err("since is required");
            assert_eq!(problem.message, "since is required: a moment as RFC 3339");
        }
        let given = rotation(br#"{"secret":"s","overlap_seconds":5}"#).expect("good");
        assert_eq!((given.secret, given.overlap_seconds), (Some(Secret::new("s")), Some(5)));
        assert_eq!(failed_since(br#"{"since":"1970-01-01T00:00:01Z"}"#), Ok(Timestamp::from_millis(1_000)));
    }

    #[test]
    fn mistakes_are_named() {
        let check = |problem: Problem, field: &str| assert!(problem.message.starts_with(field), "{problem:?}");
        check(rotation(br#"{"secret":5}"#).expect_err("a number"), "secret must be");
        check(rotation(br#"{"overlap_seconds":"1d"}"#).expect_err("text"), "overlap_seconds must be");
        check(missed_since(br#"{"deliver_missed_since":7}"#).expect_err("a number"), "deliver_missed_since must be");
        check(missed_since(br#"{"deliver_missed_since":"now"}"#).expect_err("a word"), "deliver_missed_since ");
        check(failed_since(br#"{"since":"yesterday"}"#).expect_err("a word"), "since ");
        assert_eq!(rotation(b"[]").expect_err("no object").code, ErrorCode::InvalidJson);
    }
}
