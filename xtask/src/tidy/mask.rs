//! Blanks out what is not code, so that the other checks can look for braces and attributes by eye.

/// The source with the content of comments, strings and characters replaced by spaces; lines stay where they are.
pub(crate) fn mask(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut masked = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !is_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => char_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in masked[at..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&masked).into_owned()
}

/// Whether the byte before `at` belongs to a word, so that `at` is no beginning of one (`br"…"` begins at its `b`).
fn is_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && {
        let before = bytes[at - 1];
        let prefix = matches!(before, b'b' | b'c') && !is_word(bytes, at - 1);
        !prefix && (before.is_ascii_alphanumeric() || before == b'_')
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    find(bytes, at, b"\n").unwrap_or(bytes.len())
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The end of `r"…"` or `r#"…"#`; `None` when it is a raw identifier or just the letter.
fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    Some(find(bytes, open + 1, &close).map_or(bytes.len(), |end| end + close.len()))
}

/// The end of a character such as `'{'` or `'\u{1F600}'`; `None` when it is a lifetime.
fn char_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = std::str::from_utf8(&bytes[at + 1..]).ok()?;
    let first = rest.chars().next()?;
    if first == '\\' {
        return find(bytes, at + 3, b"'").map(|end| end + 1);
    }
    let close = at + 1 + first.len_utf8();
    (bytes.get(close) == Some(&b'\'')).then_some(close + 1)
}

fn find(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let from = from.min(bytes.len());
    bytes[from..].windows(needle.len()).position(|window| window == needle).map(|found| from + found)
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn braces_in_comments_strings_and_characters_vanish() {
        for source in [
            "let a = \"{ \\\" {\";",
            "let a = r#\"{ \" {\"#;",
            "let a = br\"{\\\";",
            "let a = '{';",
            "let a = '\\'';// {",
            "/* { /* { */ { */",
            "let a = '\\u{7b}';",
            "let a = b'{';",
        ] {
            let masked = mask(source);
            assert!(!masked.contains('{') && !masked.contains('}'), "{source} became {masked}");
            assert_eq!(masked.len(), source.len());
        }
    }

    #[test]
    fn code_stays() {
        for source in ["fn f<'a>(x: &'a str) -> X<'a> {", "let r#type = r + br;", "for_each(|c| {\n})"] {
            assert_eq!(mask(source), source);
        }
        assert_eq!(mask("a \"x\ny\" {"), "a   \n   {");
    }
}
