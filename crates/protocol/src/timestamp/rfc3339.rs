//! A moment as text. Every event and every answer carries one, so it is put together digit by digit.

const MILLIS_PER_DAY: i64 = 86_400_000;
/// Days from March 1st of the year 0, with which the calendar's pattern begins, to 1970.
const DAYS_TO_1970: i64 = 719_468;
const DAYS_PER_400_YEARS: i64 = 146_097;

/// `2025-10-25T12:00:00.123Z`
#[derive(Clone, Copy)]
pub(super) struct Text([u8; 24]);

impl Text {
    /// Of a moment within the years 0 to 9999.
    pub(super) fn new(millis: i64) -> Self {
        let (year, month, day) = date(millis.div_euclid(MILLIS_PER_DAY));
        let in_day = millis.rem_euclid(MILLIS_PER_DAY);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], in_day / 3_600_000);
        put(&mut text[14..16], in_day / 60_000 % 60);
        put(&mut text[17..19], in_day / 1_000 % 60);
        put(&mut text[20..23], in_day % 1_000);
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and punctuation")
    }
}

fn put(place: &mut [u8], number: i64) {
    let mut rest = number;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Year, month and day of a day since 1970. Counted from March, so that the leap day is a year's last.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + DAYS_TO_1970;
    let era = day.div_euclid(DAYS_PER_400_YEARS);
    let day = day.rem_euclid(DAYS_PER_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + year + i64::from(is_next_year), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_the_calendar_library_prints(millis in -62_167_219_200_000..=253_402_300_799_999i64) {
            let moment = DateTime::from_timestamp_millis(millis).expect("within its range");
            let text = Text::new(millis);
            prop_assert_eq!(text.as_str(), moment.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
    }

    #[test]
    fn leap_days_and_the_edges_of_years() {
        for text in ["2000-02-29T23:59:59.999Z", "2100-03-01T00:00:00.000Z", "0000-01-01T00:00:00.000Z"] {
            let moment = DateTime::parse_from_rfc3339(text).expect("legal");
            assert_eq!(Text::new(moment.timestamp_millis()).as_str(), text);
        }
    }
}
