//! What a caller may do about an error.

use std::time::Duration;

/// Whether the same call is worth making again. Loops ask this instead of matching on variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// The same call may succeed at once.
    Now,
    /// The same call may succeed after this long.
    After(Duration),
}
