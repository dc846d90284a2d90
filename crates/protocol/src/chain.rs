//! The whole story of an error in one line, for logs.

use std::error::Error;
use std::fmt;

/// Prints an error with everything that caused it: `Display` of ours never repeats the source.
///
/// ```
/// use hookswitch_protocol::Chain;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("cannot read the settings")]
/// struct Outer(#[source] std::fmt::Error);
///
/// let text = Chain(&Outer(std::fmt::Error)).to_string();
/// assert!(text.starts_with("cannot read the settings: an error occurred"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
