//! Beside which shard a publisher best runs: an event handed over on the same thread wakes nobody.
//! Why and when: `docs/decisions/0015-publishers-beside-their-shard.md`.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeMetrics};
use tokio::time::Instant;

/// A shard busier than this, in percent of its time, takes no publisher in.
const BUSY_PERCENT: u8 = 40;
/// One busier than this sends those away that are there. A shard that is busy needs not be woken, and
/// is better relieved of the publishers' own work.
const CROWDED_PERCENT: u8 = 70;

/// One of a hub's shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardId(pub(crate) u8);

/// The place of a publisher whose events only `interested` may want; see [`crate::Hub::assign_place`].
pub(crate) fn place<'a>(
    interested: Option<ShardId>,
    now: Option<ShardId>,
    load: impl Fn(ShardId) -> &'a Load,
) -> Option<ShardId> {
    let comes = interested.filter(|interested| Some(*interested) != now && load(*interested).takes_in());
    comes.or_else(|| now.filter(|shard| !load(*shard).sends_away()))
}

/// How busy a shard was when last measured, and whether that still stands.
#[derive(Debug, Default)]
pub(crate) struct Load {
    percent: AtomicU8,
    /// A publisher came or went since.
    is_outdated: AtomicBool,
}

impl Load {
    fn takes_in(&self) -> bool {
        self.percent.load(Ordering::Relaxed) < BUSY_PERCENT && self.may_decide()
    }

    fn sends_away(&self) -> bool {
        self.percent.load(Ordering::Relaxed) >= CROWDED_PERCENT && self.may_decide()
    }

    /// Once per measurement.
    fn may_decide(&self) -> bool {
        !self.is_outdated.swap(true, Ordering::Relaxed)
    }

    fn note(&self, percent: u8) {
        self.percent.store(percent, Ordering::Relaxed);
        self.is_outdated.store(false, Ordering::Relaxed);
    }
}

/// Measures a runtime of one thread from time to time.
#[derive(Debug)]
pub(crate) struct LoadMeter {
    metrics: RuntimeMetrics,
    at: Instant,
    busy: Duration,
}

impl LoadMeter {
    /// Starts now, on the runtime that this is called in.
    pub(crate) fn start() -> Self {
        let metrics = Handle::current().metrics();
        Self { busy: metrics.worker_total_busy_duration(0), metrics, at: Instant::now() }
    }

    /// Notes the share of the time since the last look.
    pub(crate) fn note(&mut self, load: &Load) {
        let (now, busy) = (Instant::now(), self.metrics.worker_total_busy_duration(0));
        let (elapsed, spent) = (now - self.at, busy.saturating_sub(self.busy));
        if !elapsed.is_zero() {
            let percent = (spent.as_secs_f64() / elapsed.as_secs_f64() * 100.0).min(100.0);
            load.note(percent as u8);
        }
        (self.at, self.busy) = (now, busy);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant as RealInstant;

    use super::*;

    fn measured(percent: u8) -> Load {
        let load = Load::default();
        load.note(percent);
        load
    }

    #[test]
    fn one_publisher_comes_or_goes_per_measurement() {
        let (a, load) = (Some(ShardId(0)), measured(0));
        assert_eq!([place(a, None, |_| &load), place(a, None, |_| &load), place(a, a, |_| &load)], [a, None, a]);
        load.note(100);
        assert_eq!([place(a, a, |_| &load), place(a, a, |_| &load), place(a, None, |_| &load)], [None, a, None]);
        load.note(0);
        assert_eq!(place(a, None, |_| &load), a);
    }

    #[test]
    fn a_publisher_comes_to_a_shard_with_time_and_leaves_a_crowded_one() {
        let (a, b) = (Some(ShardId(0)), Some(ShardId(1)));
        for (interested, now, load_of_a, load_of_b, expected) in [
            (a, None, 0, 0, a),
            (a, None, 39, 100, a),
            (a, None, 40, 0, None),
            (a, a, 69, 0, a),
            (a, a, 70, 0, None),
            (b, a, 0, 39, b),
            (b, a, 69, 40, a),
            (b, a, 70, 40, None),
            (None, a, 69, 0, a),
            (None, a, 70, 0, None),
            (None, None, 0, 0, None),
        ] {
            let loads = [load_of_a, load_of_b].map(measured);
            assert_eq!(
                place(interested, now, |shard| &loads[usize::from(shard.0)]),
                expected,
                "{interested:?} {now:?} {load_of_a} {load_of_b}"
            );
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it is the thread's real time that is spent")]
    fn the_meter_tells_a_busy_thread_from_an_idle_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let load = Load::default();
        let turn = |busy: Duration| {
            let started = RealInstant::now();
            while started.elapsed() < busy {
                std::hint::spin_loop();
            }
        };
        runtime.block_on(async {
            let mut meter = LoadMeter::start();
            let deadline = RealInstant::now() + Duration::from_secs(30);
            for (busy, is_there) in [(50, (|n| n > 50) as fn(u8) -> bool), (0, |n| n < 50)] {
                loop {
                    turn(Duration::from_millis(busy));
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    meter.note(&load);
                    if is_there(load.percent.load(Ordering::Relaxed)) {
                        break;
                    }
                    assert!(
                        RealInstant::now() < deadline,
                        "measured {} % when busy {busy} of each 5 ms more",
                        load.percent.load(Ordering::Relaxed)
                    );
                }
            }
        });
    }
}
