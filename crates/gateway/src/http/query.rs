//! Query parameters and path segments.

use std::borrow::Cow;

use hookswitch_protocol::Timestamp;

use super::Problem;

/// The query of a request. Unknown parameters are ignored; a known one with a bad value is 400.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(Option<&'a str>);

impl<'a> Query<'a> {
    pub(crate) const fn new(query: Option<&'a str>) -> Self {
        Self(query)
    }

    /// The first value of this name.
    pub(crate) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = url::form_urlencoded::parse(self.0?.as_bytes());
        pairs.find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The first value of this name as scripts mean it that paste a text unencoded: a plus is a plus. `None` when
    /// its escapes are broken.
    pub(crate) fn get_plain(self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = self.0?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(found, _)| *found == name)?;
        decode_segment(value)
    }

    /// Every value of this name.
    pub(crate) fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let pairs = self.0.into_iter().flat_map(|query| url::form_urlencoded::parse(query.as_bytes()));
        pairs.filter(move |(found, _)| found == name).map(|(_, value)| value)
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        self,
        name: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, Problem> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| {
            Problem::field(name, &format!("must be a whole number from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// A moment as RFC 3339.
    pub(crate) fn moment(self, name: &str, default: Timestamp) -> Result<Timestamp, Problem> {
        let Some(text) = self.get(name) else { return Ok(default) };
        // A plus sign in a query means a space; people paste +02:00 all the same.
        Timestamp::parse(&text.replace(' ', "+")).map_err(|e| Problem::field(name, &e.to_string()))
    }
}

/// The text as forms write it, where it holds a plus: that is a space then.
pub(crate) fn plus_as_space(text: &str) -> Option<String> {
    text.contains('+').then(|| text.replace('+', " "))
}

/// A path segment with its percent escapes undone; `None` when they are broken or not UTF-8.
pub(crate) fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut out = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
            out.push((digit(0)? * 16 + digit(1)?) as u8);
            rest = &tail[2..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_bounds_and_the_message_names_them() {
        let limit = |query| Query::new(query).number("limit", 50, 1..=1_000);
        assert_eq!(limit(None), Ok(50));
        assert_eq!(limit(Some("limit=7&x=1")), Ok(7));
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=", "limit=-1"] {
            let problem = limit(Some(bad)).expect_err(bad);
            assert_eq!(problem.message, "limit must be a whole number from 1 to 1000");
        }
    }

    #[test]
    fn moments_are_rfc_3339_also_with_a_bare_plus() {
        let since = |query| Query::new(Some(query)).moment("since", Timestamp::from_millis(5));
        assert_eq!(since("x=1"), Ok(Timestamp::from_millis(5)));
        assert_eq!(since("since=1970-01-01T00:00:01Z"), Ok(Timestamp::from_millis(1_000)));
        assert_eq!(since("since=1970-01-01T02:00:01+02:00"), Ok(Timestamp::from_millis(1_000)));
        assert!(since("since=yesterday").is_err());
    }

    #[test]
    fn segments_are_decoded_or_refused() {
        assert_eq!(decode_segment("a-b").as_deref(), Some("a-b"));
        assert_eq!(decode_segment("a%20b%C3%BC").as_deref(), Some("a bü"));
        for bad in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert_eq!(decode_segment(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_plus_is_read_both_ways() {
        let query = Query::new(Some("x=1&session_id=a+b%2Bc&session_id=d"));
        assert_eq!(query.get("session_id").as_deref(), Some("a b+c"));
        assert_eq!(query.get_plain("session_id").as_deref(), Some("a+b+c"));
        assert_eq!(Query::new(Some("session_id")).get_plain("session_id").as_deref(), Some(""));
        assert_eq!(Query::new(Some("session_id=%zz")).get_plain("session_id"), None);
        assert_eq!((plus_as_space("a+b").as_deref(), plus_as_space("ab")), (Some("a b"), None));
    }

    proptest! {
        #[test]
        fn no_segment_makes_it_panic(text in any::<String>()) {
            let _ignored = decode_segment(&text);
        }
    }
}
