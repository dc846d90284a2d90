//! Whose work it is that waits for a writer, and how heavy it is.

use std::ops::{Add, AddAssign};

use hookswitch_protocol::TenantId;

/// Who takes turns with whom at a writer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Whoever works for one tenant.
    Tenant(TenantId),
    /// The node itself: leases and settlements, of all tenants together.
    Node,
    /// What nobody waits for: clearing away.
    Chores,
}

/// What a piece of work costs its database, roughly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) n_rows: usize,
    pub(crate) n_bytes: usize,
}

/// Bytes that count as one more call.
const BYTES_PER_CALL: usize = 64 * 1024;

/// Rows that count as one more call.
const ROWS_PER_CALL: usize = 1_000;

impl Weight {
    /// Of a call that changes a row or two.
    pub(crate) const LIGHT: Self = Self { n_rows: 1, n_bytes: 0 };

    pub(crate) fn of_rows(n_rows: usize) -> Self {
        Self { n_rows, n_bytes: 0 }
    }

    pub(crate) fn fits(self, limit: Self) -> bool {
        self.n_rows <= limit.n_rows && self.n_bytes <= limit.n_bytes
    }

    /// How many calls it counts as among those that may wait.
    pub(crate) fn n_calls(self) -> u64 {
        (1 + self.n_bytes / BYTES_PER_CALL + self.n_rows / ROWS_PER_CALL) as u64
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { n_rows: self.n_rows + other.n_rows, n_bytes: self.n_bytes + other.n_bytes }
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
