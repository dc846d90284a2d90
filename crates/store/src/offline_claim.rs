//! Claims of offline messages, as both databases speak of them.

use std::sync::Arc;
use std::time::Duration;

use hookswitch_hub::UserKey;

/// In whose name a process claims: two processes never share one.
pub(crate) type Holder = Arc<str>;

/// A user as the tables spell it.
pub(crate) struct Key {
    pub(crate) tenant: String,
    pub(crate) user: String,
}

impl Key {
    pub(crate) fn new(user: &UserKey) -> Self {
        Self { tenant: user.tenant.as_str().to_owned(), user: user.user.to_string() }
    }
}

/// Whether a user's messages may be claimed.
pub(crate) enum Acquired {
    /// By this process.
    Yes,
    /// Nothing waits.
    Empty,
    /// Another node brings them; ask again after this time.
    HeldElsewhere(Duration),
}
