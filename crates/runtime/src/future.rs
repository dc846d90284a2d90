//! The future that object-safe seams give.

use std::pin::Pin;

/// A boxed future: seams are object-safe, and each of their calls is a round trip or a table write, so the
/// box is lost in the noise.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
