//! Shortens what is told to people: a parser's words may hold all that it was given.

/// `text`, or so much of its beginning and its end that it takes at most `limit` bytes.
///
/// The end is kept because parsers say there what they wanted, and where.
pub fn clipped(text: String, limit: usize) -> String {
    const GAP: &str = " … ";
    if text.len() <= limit {
        return text;
    }
    let half = limit.saturating_sub(GAP.len()) / 2;
    let start = (0..=half).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let end = (text.len() - half..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    format!("{}{GAP}{}", &text[..start], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_are_kept_within_the_limit() {
        assert_eq!(clipped("short".to_owned(), 5), "short");
        let long = clipped(format!("invalid type: string \"{}\", expected a sequence", "ü".repeat(100_000)), 101);
        assert!(long.starts_with("invalid type: string") && long.ends_with("expected a sequence"), "{long}");
        assert!(long.len() <= 101, "{}", long.len());
    }
}
