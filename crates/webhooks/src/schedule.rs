//! When a failed attempt is made again.

use std::time::Duration;

use hookswitch_protocol::Timestamp;

use crate::ledger::Verdict;
use crate::outcome::AttemptOutcome;

/// Most retries of one delivery, whatever a row inserted by hand says.
pub(crate) const MAX_RETRIES: u32 = 20;

/// How long after the end of attempt `attempt` (from 1) the next one is due: 2, 4, 8, … seconds.
/// The exponent stops growing at 20.
pub fn retry_delay(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.clamp(1, MAX_RETRIES))
}

/// What follows attempt `attempt` (from 1) that ended at `ended_at`: done with a 2xx, tried again
/// after a network error, a timeout or a 5xx while retries are left, given up otherwise.
pub(crate) fn verdict(outcome: &AttemptOutcome, attempt: u32, retry_count: u32, ended_at: Timestamp) -> Verdict {
    if outcome.is_success() {
        Verdict::Delivered
    } else if outcome.is_worth_retrying() && attempt <= retry_count.min(MAX_RETRIES) {
        Verdict::RetryAt(ended_at.after(retry_delay(attempt)))
    } else {
        Verdict::Failed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::outcome::{ErrorClass, Failure};

    const END: Timestamp = Timestamp::from_millis(1_000);

    fn answered(status: u16) -> AttemptOutcome {
        AttemptOutcome { status: Some(status), ..AttemptOutcome::default() }
    }

    fn failed(class: ErrorClass) -> AttemptOutcome {
        AttemptOutcome { failure: Some(Failure::new(class)), ..AttemptOutcome::default() }
    }

    #[test]
    fn the_delays_double() {
        let delays: Vec<u64> = (1..=4).map(|n| retry_delay(n).as_secs()).collect();
        assert_eq!(delays, [2, 4, 8, 16]);
    }

    #[test]
    fn network_errors_timeouts_and_5xx_are_tried_again() {
        let again = Verdict::RetryAt(Timestamp::from_millis(3_000));
        for class in ErrorClass::ALL {
            let wanted = match class {
                ErrorClass::AddressBlocked | ErrorClass::InvalidUrl | ErrorClass::ResponseTooLarge => Verdict::Failed,
                _ => again,
            };
            assert_eq!(verdict(&failed(*class), 1, 3, END), wanted, "{class}");
        }
        for (status, wanted) in [
            (200, Verdict::Delivered),
            (204, Verdict::Delivered),
            (302, Verdict::Failed),
            (400, Verdict::Failed),
            (429, Verdict::Failed),
            (500, again),
            (503, again),
            (599, again),
        ] {
            assert_eq!(verdict(&answered(status), 1, 3, END), wanted, "{status}");
        }
    }

    #[test]
    fn the_status_decides_also_when_the_body_broke_off() {
        let cut = AttemptOutcome { failure: Some(Failure::new(ErrorClass::ResponseTooLarge)), ..answered(200) };
        assert_eq!(verdict(&cut, 1, 3, END), Verdict::Delivered);
        let refused = AttemptOutcome { failure: Some(Failure::new(ErrorClass::Timeout)), ..answered(400) };
        assert_eq!(verdict(&refused, 1, 3, END), Verdict::Failed);
    }

    #[test]
    fn the_last_retry_is_the_last() {
        assert_eq!(verdict(&answered(500), 4, 3, END), Verdict::Failed);
        assert_eq!(verdict(&answered(500), 1, 0, END), Verdict::Failed);
        assert_eq!(verdict(&answered(500), 21, u32::MAX, END), Verdict::Failed);
    }

    proptest! {
        #[test]
        fn no_number_overflows(attempt in any::<u32>(), retries in any::<u32>(), end in any::<i64>()) {
            prop_assert!(retry_delay(attempt) <= Duration::from_secs(1 << 20));
            let end = Timestamp::from_millis(end);
            match verdict(&answered(500), attempt, retries, end) {
                Verdict::RetryAt(due) => prop_assert!(due >= end && attempt <= 20),
                other => prop_assert_eq!(other, Verdict::Failed),
            }
        }
    }
}
