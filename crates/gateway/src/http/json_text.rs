//! What a body is that is no JSON text, in words that say what to do about it.

use hookswitch_protocol::ErrorCode;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde::de::IgnoredAny;

use super::Problem;

/// What bodies begin with that are compressed, and how it is called.
const COMPRESSED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x78\x01", "deflate"),
    (b"\x78\x5e", "deflate"),
    (b"\x78\x9c", "deflate"),
    (b"\x78\xda", "deflate"),
];

/// Refuses a body that its header calls compressed: nothing is unpacked here.
///
/// # Errors
/// 400 that names the header.
pub(crate) fn check_encoding(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(()) };
    let looks_plain = body.trim_ascii_start().starts_with(b"{");
    if looks_plain || body.is_empty() || encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    let encoding = String::from_utf8_lossy(encoding.as_bytes());
    Err(not_json(format!("the body is compressed (Content-Encoding: {encoding}): send it as plain JSON")))
}

/// The body as text.
///
/// # Errors
/// 400 that says what the body is instead, or where it is no UTF-8: `Err` with that byte's place then.
pub(crate) fn json_text(body: &[u8]) -> Result<&str, (Problem, Option<usize>)> {
    if let Some(words) = other_than_json(body) {
        return Err((not_json(words), None));
    }
    std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let byte = body.get(at).copied().unwrap_or_default();
        (not_json(format!("byte {at} of the body is {byte:#04x}, which is no UTF-8: send UTF-8")), Some(at))
    })
}

/// Words for what can be told by its first bytes.
fn other_than_json(body: &[u8]) -> Option<String> {
    if let Some((_, name)) = COMPRESSED.iter().find(|(begin, _)| body.starts_with(begin)) {
        return Some(format!("the body is compressed ({name}): send it as plain JSON"));
    }
    match body {
        [] => Some("the body is empty: a JSON object is wanted".to_owned()),
        [0xEF, 0xBB, 0xBF, ..] => {
            Some("the body begins with a byte order mark (BOM): send UTF-8 without one".to_owned())
        }
        // With their byte order marks, and without: no JSON text in UTF-8 holds a zero byte.
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, 0, 0xFE, 0xFF, ..] | [0, ..] | [_, 0, ..] => {
            Some("the body is in UTF-16 or UTF-32: send UTF-8".to_owned())
        }
        _ => None,
    }
}

/// What came where an object was wanted, in words; the parser's own where those say it.
pub(crate) fn other_than_object(text: &str, error: &serde_json::Error, wanted: &str) -> String {
    let begin = text.trim_ascii_start();
    let what = match begin.as_bytes() {
        [b'{', ..] => return within_object(begin, error, wanted),
        [b'[', ..] => "an array",
        [b'"', ..] => "a string",
        [b'<', ..] => "XML or HTML",
        [b'-', b'-', ..] => "a multipart form",
        [b'-' | b'0'..=b'9', ..] => "a number",
        _ if matches!(begin.trim_ascii_end(), "true" | "false" | "null") => "true, false or null",
        _ if is_form(begin) => "a form (key=value)",
        _ => "no JSON",
    };
    format!("{what} came, and a JSON object is wanted: {wanted}")
}

fn within_object(begin: &str, error: &serde_json::Error, wanted: &str) -> String {
    let told = error.to_string();
    if begin[1..].trim_ascii_start().starts_with('\'') {
        return format!("{told}: JSON wants \"double quotes\"");
    }
    if !told.starts_with("trailing characters") {
        return told;
    }
    let mut values = serde_json::Deserializer::from_str(begin).into_iter::<IgnoredAny>();
    let _first = values.next();
    let behind = begin.get(values.byte_offset()..).unwrap_or_default().trim_ascii_start();
    if behind.starts_with('{') {
        format!("more than one JSON object came, as in NDJSON, and one is wanted: {wanted}")
    } else {
        format!("something stands behind the JSON object ({told})")
    }
}

/// Whether this may be `application/x-www-form-urlencoded`.
fn is_form(text: &str) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-+%[]".contains(byte);
    let n_name = text.bytes().take_while(|byte| is_of_name(byte)).count();
    n_name > 0 && text.as_bytes().get(n_name) == Some(&b'=')
}

fn not_json(message: String) -> Problem {
    Problem::new(ErrorCode::InvalidJson, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(body: &[u8]) -> String {
        json_text(body).expect_err("no JSON text").0.message.into_owned()
    }

    #[test]
    fn what_is_no_json_text_is_called_by_its_name() {
        assert!(words(b"\x1f\x8b\x08\x00").contains("compressed (gzip)"));
        assert!(words(b"\x28\xb5\x2f\xfd\x00").contains("compressed (zstd)"));
        assert!(words(b"\x78\x9c\x00").contains("compressed (deflate)"));
        assert!(words(b"\xef\xbb\xbf{}").contains("byte order mark (BOM)"));
        for utf_16 in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}", b"{\0}\0", b"\0{\0}", b"\0\0\xfe\xff\0\0\0{"] {
            assert!(words(utf_16).contains("UTF-16"), "{utf_16:?}");
        }
        assert!(words(b"").contains("is empty"));
        assert!(words(b"{\"a\":\"\xe4\"}").starts_with("byte 6 of the body is 0xe4, which is no UTF-8"));
        assert_eq!(json_text(b"{}").expect("text"), "{}");
    }

    #[test]
    fn what_is_no_object_is_called_by_its_name() {
        let words = |text: &str| {
            let error = serde_json::from_str::<std::collections::BTreeMap<String, u8>>(text).expect_err(text);
            other_than_object(text, &error, "this one")
        };
        for (text, what) in [
            ("[1]", "an array came"),
            (" \"x\"", "a string came"),
            ("7", "a number came"),
            ("null\n", "true, false or null came"),
            ("type=alert&payload=%7B%7D", "a form (key=value) came"),
            ("--x\r\nContent-Disposition: form-data", "a multipart form came"),
            ("<xml/>", "XML or HTML came"),
            ("nope", "no JSON came"),
            ("{\"a\":1}\n{\"a\":2}\n", "more than one JSON object came, as in NDJSON"),
        ] {
            let told = words(text);
            assert!(told.starts_with(what) && told.ends_with("wanted: this one"), "{text}: {told}");
        }
        assert!(words("{\"a\":1} x").starts_with("something stands behind the JSON object"));
        assert!(words("{'a':1}").ends_with("JSON wants \"double quotes\""));
    }

    #[test]
    fn a_compressed_body_is_known_by_its_header_too() {
        let mut headers = HeaderMap::new();
        assert_eq!(check_encoding(&headers, b"\x0b\x02"), Ok(()));
        headers.insert(CONTENT_ENCODING, "br".parse().expect("legal"));
        let problem = check_encoding(&headers, b"\x0b\x02").expect_err("compressed");
        assert!(problem.message.contains("Content-Encoding: br"), "{}", problem.message);
        assert_eq!(check_encoding(&headers, b" {}"), Ok(()), "a proxy unpacked it and left the header");
    }
}
