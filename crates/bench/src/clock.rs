//! A clock that several processes read alike.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Microseconds of a clock that all processes of this machine share and nobody sets.
pub(crate) fn shared_micros() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has a monotonic clock");
    Duration::from(now).as_micros() as u64
}
