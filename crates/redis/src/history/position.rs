//! Where an event stands in its tenant's recent history.

use std::fmt;

/// The place of one event among all of its tenant: positions of an epoch are dense, so a hole is visible.
///
/// Written `<epoch>:<offset>`. Ordered as events are: a later epoch is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which numbering: another one begins when the history was lost or set back.
    pub epoch: u64,
    /// The place in it; the first event has 1.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_with_a_colon_and_ordered_by_epoch_first() {
        let at = |epoch, offset| Position { epoch, offset };
        assert_eq!(at(1_790_000_000_123_456_789, 42).to_string(), "1790000000123456789:42");
        assert!(at(1, 9) < at(2, 1) && at(2, 1) < at(2, 2));
    }
}
