//! What follows an attempt, case by case and for any numbers.

use hookswitch_egress::{ErrorClass, Failure};
use hookswitch_protocol::{TenantId, WebhookId};
use proptest::prelude::*;

use super::*;
use crate::options::WebhookOptions;
use crate::seams::directory::NewWebhook;

const END: Timestamp = Timestamp::from_millis(1_000);
const CAP: Duration = Duration::from_hours(1);

fn answered(status: u16) -> AttemptOutcome {
    AttemptOutcome { status: Some(status), ..AttemptOutcome::default() }
}

fn failed(class: ErrorClass) -> AttemptOutcome {
    AttemptOutcome { failure: Some(Failure::new(class)), ..AttemptOutcome::default() }
}

fn webhook(retry_count: u32, options: WebhookOptions) -> Webhook {
    let new = NewWebhook {
        name: String::new(),
        url: String::new(),
        events: Vec::new(),
        secret: None,
        retry_count,
        timeout_secs: 30,
        options,
    };
    Webhook::new(WebhookId(1), TenantId::parse("t").expect("legal"), new, END)
}

fn plain(outcome: &AttemptOutcome, attempt: u32, retry_count: u32) -> Disposition {
    policy().disposition(outcome, &webhook(retry_count, WebhookOptions::default()), attempt, END)
}

fn policy() -> RetryPolicy {
    RetryPolicy::new(CAP, Jitter::seeded(1))
}

fn again_after(secs: i64) -> Disposition {
    Disposition::RetryAt(Timestamp::from_millis(1_000 + secs * 1_000))
}

#[test]
fn the_standard_delays_double() {
    let delays: Vec<u64> = (1..=4).map(|n| retry_delay(RetryProfile::Standard, n, 0.9).as_secs()).collect();
    assert_eq!(delays, [2, 4, 8, 16]);
}

#[test]
fn the_durable_delays_grow_to_a_day() {
    let minutes: Vec<f64> = (1..=12).map(|n| retry_delay(RetryProfile::Durable, n, 0.5).as_secs_f64() / 60.0).collect();
    let wanted = [5.0 / 60.0, 1.0, 5.0, 30.0, 120.0, 300.0, 600.0, 840.0, 1200.0, 1440.0, 1440.0, 1440.0];
    assert!(minutes.iter().zip(wanted).all(|(minutes, wanted)| (minutes - wanted).abs() < 1e-6), "{minutes:?}");
    let at = |random| retry_delay(RetryProfile::Durable, 2, random).as_secs_f64();
    assert!((at(0.0) - 48.0).abs() < 1e-6 && (at(1.0) - 72.0).abs() < 1e-6);
}

#[test]
fn network_errors_timeouts_and_5xx_are_tried_again() {
    for class in ErrorClass::ALL {
        let wanted = if failed(*class).is_worth_retrying() { again_after(2) } else { Disposition::Failed };
        assert_eq!(plain(&failed(*class), 1, 3), wanted, "{class}");
    }
    for class in [ErrorClass::AddressBlocked, ErrorClass::InvalidUrl, ErrorClass::ResponseTooLarge] {
        assert_eq!(plain(&failed(class), 1, 3), Disposition::Failed, "{class}");
    }
    for (status, wanted) in [
        (200, Disposition::Delivered),
        (204, Disposition::Delivered),
        (302, Disposition::Failed),
        (400, Disposition::Failed),
        (410, Disposition::Gone),
        (429, Disposition::Failed),
        (500, again_after(2)),
        (503, again_after(2)),
        (599, again_after(2)),
    ] {
        assert_eq!(plain(&answered(status), 1, 3), wanted, "{status}");
    }
}

#[test]
fn the_status_decides_also_when_the_body_broke_off() {
    let cut = AttemptOutcome { failure: Some(Failure::new(ErrorClass::ResponseTooLarge)), ..answered(200) };
    assert_eq!(plain(&cut, 1, 3), Disposition::Delivered);
    let refused = AttemptOutcome { failure: Some(Failure::new(ErrorClass::Timeout)), ..answered(400) };
    assert_eq!(plain(&refused, 1, 3), Disposition::Failed);
}

#[test]
fn only_listed_statuses_that_may_be_listed_are_retried() {
    let listed = webhook(3, WebhookOptions { retry_statuses: vec![429, 404], ..WebhookOptions::default() });
    for (status, wanted) in [(429, again_after(2)), (408, Disposition::Failed), (404, Disposition::Failed)] {
        assert_eq!(policy().disposition(&answered(status), &listed, 1, END), wanted, "{status}");
    }
}

#[test]
fn a_receiver_may_ask_for_more_time_but_not_for_ever() {
    for (secs, wanted) in [(1, 2), (90, 90), (7_200, 3_600)] {
        let asked = AttemptOutcome { retry_after: Some(Duration::from_secs(secs)), ..answered(503) };
        assert_eq!(plain(&asked, 1, 3), again_after(wanted), "{secs} s asked for");
    }
    let refused = AttemptOutcome { retry_after: Some(Duration::from_secs(5)), ..answered(400) };
    assert_eq!(plain(&refused, 1, 3), Disposition::Failed, "asking does not make a refusal a retry");
}

#[test]
fn the_last_retry_is_the_last() {
    assert_eq!(plain(&answered(500), 4, 3), Disposition::Failed);
    assert_eq!(plain(&answered(500), 1, 0), Disposition::Failed);
    assert_eq!(plain(&answered(500), 21, u32::MAX), Disposition::Failed);
}

#[test]
fn jitter_spreads_over_the_whole_range() {
    let jitter = Jitter::seeded(7);
    let mut tenths = [0; 10];
    (0..1_000).for_each(|_| tenths[(jitter.next() * 10.0) as usize] += 1);
    assert!(tenths.iter().all(|n| (50..200).contains(n)), "{tenths:?}");
}

proptest! {
    #[test]
    fn no_number_overflows(attempt in any::<u32>(), retries in any::<u32>(), end in any::<i64>(), secs in any::<u64>()) {
        let end = Timestamp::from_millis(end);
        for retry_profile in [RetryProfile::Standard, RetryProfile::Durable] {
            let webhook = webhook(retries, WebhookOptions { retry_profile, ..WebhookOptions::default() });
            let outcome = AttemptOutcome { retry_after: Some(Duration::from_secs(secs)), ..answered(500) };
            match policy().disposition(&outcome, &webhook, attempt, end) {
                Disposition::RetryAt(due) => prop_assert!(due >= end && attempt <= 20 && attempt <= retries),
                other => prop_assert_eq!(other, Disposition::Failed),
            }
        }
    }

    #[test]
    fn a_durable_delay_stays_within_a_fifth(attempt in any::<u32>(), random in 0.0..1.0_f64) {
        let middle = retry_delay(RetryProfile::Durable, attempt, 0.5).as_secs_f64();
        let delay = retry_delay(RetryProfile::Durable, attempt, random).as_secs_f64();
        prop_assert!((0.8 * middle - 1e-6..=1.2 * middle + 1e-6).contains(&delay));
        prop_assert!(delay <= 1.2 * 86_400.0 + 1e-6);
    }

    #[test]
    fn what_is_asked_for_only_ever_delays(attempt in 1..=20_u32, secs in any::<u64>()) {
        let at = |retry_after| {
            let outcome = AttemptOutcome { retry_after, ..answered(500) };
            match plain(&outcome, attempt, 20) {
                Disposition::RetryAt(due) => due.since(END),
                _ => Duration::ZERO,
            }
        };
        let (scheduled, due) = (at(None), at(Some(Duration::from_secs(secs))));
        prop_assert!(due >= scheduled && due <= scheduled.max(CAP));
    }
}
