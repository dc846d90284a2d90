//! The time, for programs that run outside any runtime.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Monotonic time.
#[expect(clippy::disallowed_methods, reason = "chores have no runtime whose clock could be paused")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Microseconds of a clock that all processes of this machine share and nobody sets.
pub(crate) fn shared_micros() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has a monotonic clock");
    Duration::from(now).as_micros() as u64
}

/// Waits between two looks at something that cannot be waited on.
#[expect(clippy::disallowed_methods, reason = "chores have no workers that could be blocked")]
pub(crate) fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// Seconds since the epoch, for the claims of tokens.
#[expect(clippy::disallowed_methods, reason = "chores have no clock of the product")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
