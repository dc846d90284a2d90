//! Two walks over JSON text that a raw-value parser does not do: depth, and the compact form.

use std::fmt::Write as _;

/// Whether no array or object in `text` lies deeper than `limit` levels. `text` must be valid JSON.
pub fn depth_within(text: &str, limit: usize) -> bool {
    // Most texts hold so few brackets, strings included, that they need no walk.
    if text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() <= limit {
        return true;
    }
    let mut depth = 0usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    true
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

/// The compact form of valid JSON: no white space outside strings, strings escaped as
/// `JSON.stringify` does, numbers and key order as they came.
///
/// Receivers that verify a signature over re-serialised JSON get the bytes they would print
/// themselves. Numbers stay as written, so `2.50`, `1e3` and integers above 2^53 differ from what
/// JavaScript prints.
pub fn minify(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', ' ', '\t', '\n', '\r']) {
        out.push_str(&rest[..at]);
        rest = if rest.as_bytes()[at] == b'"' { copy_string(&rest[at + 1..], &mut out) } else { &rest[at + 1..] };
    }
    out.push_str(rest);
    out
}

/// Copies one string, its opening quote already taken; gives what follows its closing quote.
fn copy_string<'a>(text: &'a str, out: &mut String) -> &'a str {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        out.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'"' {
            out.push('"');
            return &rest[at + 1..];
        }
        rest = copy_escape(&rest[at + 1..], out);
    }
    // Only reached when the text was not valid JSON after all; keep what is there.
    out.push_str(rest);
    ""
}

/// Copies one escape in its shortest spelling, its backslash already taken.
fn copy_escape<'a>(text: &'a str, out: &mut String) -> &'a str {
    let Some(kind) = text.chars().next() else { return "" };
    let rest = &text[kind.len_utf8()..];
    match kind {
        '/' => out.push('/'),
        'u' => return copy_unicode_escape(rest, out),
        other => {
            out.push('\\');
            out.push(other);
        }
    }
    rest
}

fn copy_unicode_escape<'a>(text: &'a str, out: &mut String) -> &'a str {
    let Some((first, rest)) = hex_unit(text) else { return text };
    let low = rest.strip_prefix("\\u").and_then(hex_unit).filter(|(unit, _)| (0xDC00..0xE000).contains(unit));
    if let (0xD800..0xDC00, Some((second, rest))) = (first, low) {
        let scalar = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        out.push(char::from_u32(scalar).expect("a surrogate pair is a scalar value"));
        return rest;
    }
    push_unit(first, out);
    rest
}

fn hex_unit(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, &text[4..]))
}

fn push_unit(unit: u32, out: &mut String) {
    match unit {
        0x08 => out.push_str("\\b"),
        0x09 => out.push_str("\\t"),
        0x0A => out.push_str("\\n"),
        0x0C => out.push_str("\\f"),
        0x0D => out.push_str("\\r"),
        0x22 => out.push_str("\\\""),
        0x5C => out.push_str("\\\\"),
        // Control characters, and surrogates without their other half, keep a lower-case escape.
        _ => match char::from_u32(unit).filter(|c| *c >= ' ') {
            Some(c) => out.push(c),
            None => write!(out, "\\u{unit:04x}").expect("writing to a string cannot fail"),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn minified_as_json_stringify_prints() {
        let check = |text: &str, compact: &str| assert_eq!(minify(text), compact);
        check("{ \"a\" : [ 1 , 2.50 ,\r\n\t1e3 ] }", r#"{"a":[1,2.50,1e3]}"#);
        check(r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#);
        check(r#""a b\/c\\d\"e""#, r#""a b/c\\d\"e""#);
        check(r#""\u00e9\u000A\u0001\u007f""#, "\"é\\n\\u0001\u{7f}\"");
        check(r#""\uD83D\uDE00 \ud83d \uDE00""#, "\"😀 \\ud83d \\ude00\"");
        check(r#""\u0022\u005c""#, r#""\"\\""#);
        check(r#""\uD83D\u0041""#, "\"\\ud83dA\"");
    }

    #[test]
    fn depth_counts_open_brackets_outside_strings() {
        let check = |text: &str, limit, is_within| assert_eq!(depth_within(text, limit), is_within, "{text}");
        check("[[[]]]", 3, true);
        check("[[[]]]", 2, false);
        check(r#"{"a":[],"b":[],"c":{}}"#, 2, true);
        check(r#"{"a[[[{":"\"[[[{"}"#, 1, true);
        check(r#"{"a[[[{":{"\"[[":1}}"#, 1, false);
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn minify_keeps_the_value_and_is_a_fixed_point(value in any_json()) {
            let pretty = serde_json::to_string_pretty(&value).expect("prints");
            let compact = minify(&pretty);
            prop_assert_eq!(&compact, &serde_json::to_string(&value).expect("prints"));
            prop_assert_eq!(minify(&compact), compact);
        }

        #[test]
        fn no_text_makes_the_walks_panic(text in any::<String>()) {
            minify(&text);
            depth_within(&text, 3);
        }
    }
}
