//! What all seams of this crate share.

use std::future::Future;
use std::pin::Pin;

/// A boxed future: seams are object-safe, and each call is a round trip or a table write.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
