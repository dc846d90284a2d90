//! Which other nodes have certainly ended, where this node can know it.

use std::fmt;
use std::sync::Arc;

/// Tells of a node's name whether that process has certainly ended, such as this machine's former one.
///
/// What it held is then free at once; of all others nobody can tell, and they are waited for. By default nobody
/// is known to have ended.
#[derive(Clone)]
pub struct EndedNodes(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl EndedNodes {
    /// Asks `has_ended`, which must be quick and must never say so of a process that may be alive.
    pub fn new(has_ended: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(has_ended))
    }

    /// Whether the node with this name has ended.
    pub(crate) fn contain(&self, name: &str) -> bool {
        (self.0)(name)
    }
}

impl Default for EndedNodes {
    fn default() -> Self {
        Self::new(|_| false)
    }
}

impl fmt::Debug for EndedNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndedNodes")
    }
}
