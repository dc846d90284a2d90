//! What a store counts.

/// What a store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Calls that the writers ran.
    pub jobs: u64,
    /// Transactions they committed; fewer than `jobs` when calls shared one.
    pub commits: u64,
    /// Transactions that failed and changed nothing.
    pub failures: u64,
    /// Calls waiting for a writer at this moment.
    pub waiting: usize,
}

impl std::ops::Add for StoreCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            jobs: self.jobs + other.jobs,
            commits: self.commits + other.commits,
            failures: self.failures + other.failures,
            waiting: self.waiting + other.waiting,
        }
    }
}
