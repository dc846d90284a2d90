//! Headers of a webhook's own: which are accepted, and how they join ours.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// Most headers of one webhook.
const MOST: usize = 20;
/// Longest name and value, in characters.
const NAME_CHARS: usize = 100;
const VALUE_CHARS: usize = 1024;
/// All names and values of one webhook together.
const TOTAL_BYTES: usize = 8 * 1024;

/// Names that decide how the request is framed, who is asked, or what we say ourselves. An answer in
/// another encoding than we asked for would fill the log with what nobody can read.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
const RESERVED_PREFIXES: &[&str] = &["x-webhook-", "webhook-"];

/// Whether a webhook may not have a header of this name.
fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Reads one header that a webhook wants on its deliveries: a name of 1 to 100 characters that is not
/// ours to set, and a value of 1 to 1,024 printable ASCII characters.
///
/// # Errors
/// A sentence that follows the field's name, such as `"X Y" is not a header name`.
pub fn check_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    if !(1..=NAME_CHARS).contains(&name.len()) {
        return Err(format!("must have names of 1 to {NAME_CHARS} characters"));
    }
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is not a header name"))?;
    if is_reserved(&parsed) {
        return Err(format!("cannot set {name:?}, which is reserved"));
    }
    if !(1..=VALUE_CHARS).contains(&value.len()) {
        return Err(format!("the value of {name:?} must have 1 to {VALUE_CHARS} characters"));
    }
    let is_printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_printable || value.trim() != value {
        return Err(format!("the value of {name:?} must be printable ASCII and must not begin or end with a blank"));
    }
    let mut value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name:?} is not legal"))?;
    // It may be a password; sensitive values are not shown by `Debug`.
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// Reads all headers of a webhook: at most 20, each name once, 8 KiB together, and each good by
/// [`check_header`].
///
/// # Errors
/// A sentence about the first that is wrong.
pub fn check_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut read: Vec<(HeaderName, HeaderValue)> = Vec::new();
    let mut n_bytes = 0;
    for (name, value) in headers {
        if read.len() == MOST {
            return Err(format!("must not hold more than {MOST} headers"));
        }
        let (parsed, checked) = check_header(name, value)?;
        if read.iter().any(|(known, _)| *known == parsed) {
            return Err(format!("holds {name:?} twice"));
        }
        n_bytes += name.len() + value.len();
        if n_bytes > TOTAL_BYTES {
            return Err(format!("must not be longer than {TOTAL_BYTES} bytes in all"));
        }
        read.push((parsed, checked));
    }
    Ok(read)
}

/// Adds them, without those that are reserved or already there: a row inserted by hand may hold anything.
pub(super) fn add(headers: &mut HeaderMap, custom: &[(HeaderName, HeaderValue)]) {
    for (name, value) in custom.iter().filter(|(name, _)| !is_reserved(name)).take(MOST) {
        headers.entry(name).or_insert_with(|| value.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_webhook_may_have() {
        for (name, value) in [
            ("Authorization", "Bearer abc.def"),
            ("X-Api-Key", "k"),
            ("Accept", "application/json"),
            ("X-Tenant", "a \"quoted\" value; with=signs"),
            ("Webhooks", "the prefix is webhook-"),
        ] {
            let (parsed, checked) = check_header(name, value).expect(name);
            assert_eq!((parsed.as_str(), checked.as_bytes()), (name.to_lowercase().as_str(), value.as_bytes()));
            assert!(!format!("{checked:?}").contains(value), "it may be a password");
        }
    }

    #[test]
    fn what_it_may_not_have_says_why() {
        let long = "x".repeat(101);
        let wide = "x".repeat(1025);
        for (name, value, part) in [
            ("", "x", "1 to 100"),
            (long.as_str(), "x", "1 to 100"),
            ("X Y", "x", "not a header name"),
            ("X\r\nY", "x", "not a header name"),
            ("Ünicode", "x", "not a header name"),
            ("Host", "x", "reserved"),
            ("CONTENT-LENGTH", "x", "reserved"),
            ("content-type", "x", "reserved"),
            ("Transfer-Encoding", "chunked", "reserved"),
            ("Connection", "close", "reserved"),
            ("User-Agent", "x", "reserved"),
            ("TE", "x", "reserved"),
            ("Trailer", "x", "reserved"),
            ("Upgrade", "h2c", "reserved"),
            ("Expect", "100-continue", "reserved"),
            ("X-Webhook-Signature", "x", "reserved"),
            ("x-webhook-mine", "x", "reserved"),
            ("Webhook-Id", "x", "reserved"),
            ("X-A", "", "1 to 1024"),
            ("X-A", wide.as_str(), "1 to 1024"),
            ("X-A", "a\r\nX-B: b", "printable"),
            ("X-A", "tab\there", "printable"),
            ("X-A", "é", "printable"),
            ("X-A", " x", "blank"),
        ] {
            let error = check_header(name, value).expect_err(name);
            assert!(error.contains(part), "{name:?} {value:?}: {error}");
        }
    }

    #[test]
    fn all_together_are_bounded() {
        let names: Vec<String> = (0..21).map(|i| format!("X-{i}")).collect();
        let all = |n: usize, value| check_headers(names.iter().take(n).map(|name| (name.as_str(), value)));
        assert_eq!(all(20, "v").expect("twenty").len(), 20);
        assert!(all(21, "v").expect_err("one too many").contains("20 headers"));
        let value = "v".repeat(1024);
        assert!(all(7, &value).is_ok());
        assert!(all(8, &value).expect_err("too long").contains("8192 bytes"));
        assert!(check_headers([("X-A", "1"), ("x-a", "2")]).expect_err("twice").contains("twice"));
        assert_eq!(check_headers([]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_input_panics_and_what_passes_is_one_line(name in ".{0,12}", value in ".{0,40}") {
            if let Ok((name, value)) = check_header(&name, &value) {
                prop_assert!(!is_reserved(&name));
                prop_assert!(value.to_str().is_ok_and(|text| !text.contains(['\r', '\n'])));
            }
        }
    }
}
