//! How much a chore does at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A step that took longer than this was too large: everybody else waits behind it.
const TOO_LONG: Duration = Duration::from_millis(10);

/// A step that took no longer than this may be larger next time.
const SHORT: Duration = Duration::from_millis(4);

/// Rows of the smallest, the first and the largest step.
const LEAST: usize = 10;
const FIRST: usize = 200;
const MOST: usize = 2_000;

/// How many rows of one chore go into a transaction: rows weigh from a hundred bytes to a megabyte, so
/// it follows the time that the last ones took.
#[derive(Debug)]
pub(crate) struct StepSize(AtomicUsize);

impl StepSize {
    pub(crate) fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A step of so many rows took so long.
    pub(crate) fn took(&self, n_rows: usize, time: Duration) {
        let rows = self.rows();
        let next = if time > TOO_LONG {
            rows / 2
        } else if time <= SHORT && n_rows >= rows {
            rows * 2
        } else {
            rows
        };
        self.0.store(next.clamp(LEAST, MOST), Ordering::Relaxed);
    }
}

impl Default for StepSize {
    fn default() -> Self {
        Self(AtomicUsize::new(FIRST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_the_time_they_take() {
        let step = StepSize::default();
        step.took(200, Duration::from_millis(3));
        assert_eq!(step.rows(), 400, "quick and full: twice as many");
        step.took(17, Duration::from_millis(1));
        assert_eq!(step.rows(), 400, "there were no more");
        step.took(400, Duration::from_millis(8));
        assert_eq!(step.rows(), 400);
        for _ in 0..20 {
            step.took(400, Duration::from_secs(1));
        }
        assert_eq!(step.rows(), LEAST);
        for _ in 0..20 {
            step.took(step.rows(), Duration::ZERO);
        }
        assert_eq!(step.rows(), MOST);
    }
}
