//! What the fold could not use, and why.

/// Why an event, or a part of it, changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// It lacks the key of what it is about.
    NoKey,
    /// Its key, or what it would add, is too long.
    TooLong,
    /// It is about a call, chat or place in a queue that is not known.
    Unknown,
    /// It came after the end of what it is about.
    Late,
    /// It says what is so already, or contradicts it without effect.
    Contradictory,
    /// What it would begin has no room.
    Full,
    /// It says something about what belongs to another source.
    Foreign,
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 7] =
        [Self::NoKey, Self::TooLong, Self::Unknown, Self::Late, Self::Contradictory, Self::Full, Self::Foreign];

    /// The reason's name, as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::TooLong => "too_long",
            Self::Unknown => "unknown",
            Self::Late => "late",
            Self::Contradictory => "contradictory",
            Self::Full => "full",
            Self::Foreign => "foreign",
        }
    }
}

/// How often what was ignored, since the fold began on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoredCounts([u64; Ignored::ALL.len()]);

impl IgnoredCounts {
    /// How often for this reason.
    pub fn of(&self, reason: Ignored) -> u64 {
        self.0[reason as usize]
    }

    pub(crate) fn add(&mut self, reason: Ignored) {
        self.0[reason as usize] += 1;
    }
}
