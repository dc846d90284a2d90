//! Texts of the attempt log that the server's column types would refuse.

use std::borrow::Cow;

/// MariaDB's JSON knows no deeper nesting.
const MAX_DEPTH: usize = 31;

/// What a `TEXT` column holds.
const TEXT_BYTES: usize = 65_535;

/// The body sent, as the `JSON` column takes it. A body nested too deeply for MariaDB is kept as one
/// JSON string: one refused row would otherwise refuse everybody's.
pub(crate) fn payload(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    if depth(body) <= MAX_DEPTH {
        return text;
    }
    Cow::Owned(serde_json::Value::String(text.into_owned()).to_string())
}

/// As much of a text as its column holds.
pub(crate) fn logged_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

/// How deep lists and objects stand in each other.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_too_deep_a_body_is_kept_as_a_string() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(payload(nested(31).as_bytes()), nested(31));
        assert_eq!(payload(nested(32).as_bytes()), format!("\"{}\"", nested(32)));
        let quoted = format!(r#"{{"text":"\"{}"}}"#, "[".repeat(99));
        assert_eq!(payload(quoted.as_bytes()), quoted);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(logged_text("said"), "said");
        assert_eq!(logged_text(&"ä".repeat(40_000)).len(), 65_534);
    }
}
