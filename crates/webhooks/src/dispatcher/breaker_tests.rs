//! The breaker, move by move.

use proptest::prelude::*;

use super::*;

const RULE: BreakerRule = BreakerRule {
    window: Duration::from_mins(1),
    min_attempts: 20,
    failed_percent: 80,
    open_for: Duration::from_secs(30),
    open_for_at_most: Duration::from_mins(5),
};

fn start() -> Instant {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async { Instant::now() })
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Ends so many attempts; the last transition there was.
fn end(breaker: &mut Breaker, n: usize, has_failed: bool, now: Instant) -> Option<BreakerTransition> {
    (0..n).filter_map(|_| breaker.ended(Some(has_failed), &RULE, now)).last()
}

#[test]
fn it_takes_both_a_number_and_a_part_of_failures() {
    let now = start();
    let mut breaker = Breaker::default();
    assert_eq!(end(&mut breaker, 19, true, now), None, "nineteen are few");
    assert_eq!(end(&mut breaker, 1, true, now), Some(BreakerTransition::Opened { until: now + secs(30) }));
    let mut mixed = Breaker::default();
    end(&mut mixed, 5, false, now);
    assert_eq!(end(&mut mixed, 19, true, now), None, "19 of 24 are less than 80 %");
    assert_eq!(
        end(&mut mixed, 1, true, now),
        Some(BreakerTransition::Opened { until: now + secs(30) }),
        "20 of 25 are 80 %"
    );
}

#[test]
fn what_is_out_of_the_window_does_not_count() {
    let now = start();
    let mut breaker = Breaker::default();
    end(&mut breaker, 19, true, now);
    assert!(!breaker.is_blank(&RULE, now + secs(59)));
    assert_eq!(end(&mut breaker, 1, true, now + secs(60)), None);
    assert!(breaker.is_blank(&RULE, now + secs(120)));
}

#[test]
fn one_delivery_and_its_retries_never_open_it() {
    let (mut now, mut breaker) = (start(), Breaker::default());
    for attempt in 1..=20 {
        assert_eq!(end(&mut breaker, 1, true, now), None, "attempt {attempt}");
        now += secs(1 << attempt);
    }
}

#[test]
fn probes_come_after_30_60_120_240_and_300_seconds() {
    let (mut now, mut breaker) = (start(), Breaker::default());
    end(&mut breaker, 20, true, now);
    for pause in [30, 60, 120, 240, 300, 300] {
        let until = now + secs(pause);
        assert_eq!(breaker.permission(until - Duration::from_millis(1)), Permission::NotBefore(until));
        assert_eq!(end(&mut breaker, 3, false, now), None, "stragglers say nothing");
        assert_eq!(breaker.permission(until), Permission::Probe);
        assert_eq!(end(&mut breaker, 1, false, until), None, "nor now");
        breaker.started();
        assert_eq!(breaker.permission(until), Permission::ProbeUnderWay);
        now = until + secs(1);
        let next = (pause * 2).min(300);
        assert_eq!(end(&mut breaker, 1, true, now), Some(BreakerTransition::StaysOpen { until: now + secs(next) }));
    }
}

#[test]
fn a_good_probe_closes_it_and_all_is_forgotten() {
    let now = start();
    let mut breaker = Breaker::default();
    end(&mut breaker, 20, true, now);
    let later = now + secs(30);
    assert_eq!(breaker.permission(later), Permission::Probe);
    breaker.started();
    assert_eq!(breaker.ended(None, &RULE, later), None);
    assert_eq!(breaker.permission(later), Permission::Probe, "a probe that was cut off is made again");
    breaker.started();
    assert_eq!(end(&mut breaker, 1, false, later), Some(BreakerTransition::Closed));
    assert_eq!((breaker.permission(later), breaker.is_blank(&RULE, later)), (Permission::Any, true));
    assert_eq!(
        end(&mut breaker, 20, true, later),
        Some(BreakerTransition::Opened { until: later + secs(30) }),
        "30 s again"
    );
}

proptest! {
    /// However attempts end, it never opens before enough of them failed, and never shuts for longer than the rule says.
    #[test]
    fn it_opens_for_a_reason_only(ends in prop::collection::vec((0..3_u8, 0..20_000_u64), 1..200)) {
        let (mut now, mut breaker, mut failed) = (start(), Breaker::default(), 0);
        for (end, wait) in ends {
            now += Duration::from_millis(wait);
            match breaker.permission(now) {
                Permission::NotBefore(until) => prop_assert!(until > now && until <= now + RULE.open_for_at_most),
                Permission::Probe => breaker.started(),
                Permission::Any | Permission::ProbeUnderWay => {}
            }
            failed += u32::from(end == 1);
            let transition = breaker.ended([Some(false), Some(true), None][usize::from(end)], &RULE, now);
            if let Some(BreakerTransition::Opened { .. }) = transition {
                prop_assert!(failed >= 16);
                failed = 0;
            }
        }
    }
}
