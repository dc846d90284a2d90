//! Names as a person's: what the Manager Interface does to them, undone.

/// Undoes the C escapes of a channel field once (`\'`, `\"`, `\\`, `\t`, `\n`, `\r` and the like).
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some(other @ ('\\' | '\'' | '"' | '?')) => out.push(other),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
    out
}

/// A name or number that is there: neither empty nor the PBX's word for that.
pub(crate) fn known(text: &str) -> Option<String> {
    (!text.is_empty() && text != "<unknown>" && text != "unknown").then(|| unescape(text))
}
