//! `Retry-After`: when the receiver wants to be asked again (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use hookswitch_protocol::Timestamp;
use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The longest wait that is believed; a longer one counts as this.
const LONGEST: Duration = Duration::from_hours(24);

/// The wait an answer asks for, at most a day: seconds, or a date in any of the three forms of HTTP.
/// A date that is past is no wait; what cannot be read is no wish.
pub(super) fn read(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    parse(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are longer than a day too.
        text.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let at = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        at.saturating_sub(Duration::from_millis(u64::try_from(now.as_millis()).ok()?))
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 1994-11-06 08:49:37, the example of the specification.
    const EXAMPLE: Timestamp = Timestamp::from_millis(784_111_777_000);

    #[test]
    fn seconds_and_dates_are_read() {
        let minute_before = Timestamp::from_millis(EXAMPLE.as_millis() - 60_000);
        for (text, wanted) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(60)),
            ("Sun Nov  6 08:49:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(parse(text, minute_before), wanted.map(Duration::from_secs), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".*", digits in "[0-9]{0,40}", now in any::<i64>()) {
            for text in [&text, &digits] {
                let wait = parse(text, Timestamp::from_millis(now));
                prop_assert!(wait.is_none_or(|wait| wait <= LONGEST));
            }
        }

        #[test]
        fn every_header_is_survived(value in any::<Vec<u8>>(), now in any::<i64>()) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                headers.insert(RETRY_AFTER, value);
            }
            let _wish = read(&headers, Timestamp::from_millis(now));
        }

        #[test]
        fn dates_of_every_form_are_survived(
            day in 0..40_u32, year in 0..20_000_u32, hour in 0..30_u32, minute in 0..70_u32, now in any::<i64>(),
        ) {
            for text in [
                format!("Sun, {day:02} Nov {year:04} {hour:02}:{minute:02}:60 GMT"),
                format!("Sunday, {day:02}-Nov-{:02} {hour:02}:{minute:02}:60 GMT", year % 100),
                format!("Sun Nov {day:2} {hour:02}:{minute:02}:60 {year:04}"),
            ] {
                let _wish = parse(&text, Timestamp::from_millis(now));
            }
        }
    }
}
