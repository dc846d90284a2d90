//! What all seams of the hub share.

use std::future::Future;
use std::pin::Pin;

use hookswitch_protocol::{TenantId, UserId};

/// A boxed future: seams are object-safe, and each call is a round trip or a table write.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One user of one tenant: what presence and offline messages are looked up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey {
    /// Whose user it is.
    pub tenant: TenantId,
    /// Which user it is.
    pub user: UserId,
}
