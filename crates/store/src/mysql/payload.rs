//! Texts of the attempt log that the server's column types would refuse.

use std::borrow::Cow;

/// MariaDB's JSON knows no deeper nesting.
const MAX_DEPTH: usize = 31;

/// What a `TEXT` column holds.
const TEXT_BYTES: usize = 65_535;

/// The body sent, as the `JSON` column takes it. A body that MariaDB is known to refuse, nested too
/// deeply or with half a surrogate pair, is kept as one JSON string.
pub(crate) fn payload(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    if depth(body) <= MAX_DEPTH && !has_surrogate(body) {
        return text;
    }
    Cow::Owned(as_json_string(&text))
}

/// A text as JSON that every server takes.
pub(crate) fn as_json_string(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// As much of a text as its column holds.
pub(crate) fn logged_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

/// Whether a surrogate is spelt out, as bodies have them only without their other half. A text that
/// merely looks like one counts too.
fn has_surrogate(json: &[u8]) -> bool {
    let is_one = |at: &[u8]| at.starts_with(br"\ud") && matches!(at.get(3), Some(b'8'..=b'9' | b'a'..=b'f'));
    json.windows(4).any(is_one)
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
    fn half_a_surrogate_pair_is_kept_as_a_string() {
        for (body, wanted) in [
            (r#"["\ud83d"]"#, r#""[\"\\ud83d\"]""#),
            (r#"["\udc00!"]"#, r#""[\"\\udc00!\"]""#),
            ("[\"\u{1f600}\\ud7ff\"]", "[\"\u{1f600}\\ud7ff\"]"),
        ] {
            assert_eq!(payload(body.as_bytes()), wanted);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(logged_text("said"), "said");
        assert_eq!(logged_text(&"ä".repeat(40_000)).len(), 65_534);
    }
}
