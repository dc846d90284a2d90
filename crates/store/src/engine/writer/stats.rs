//! What is known of a writer from outside its task.

use std::sync::atomic::AtomicBool;

use crate::metrics::StoreMetrics;

/// How a writer has been doing.
#[derive(Debug, Default)]
pub(crate) struct WriterStats {
    pub(super) metrics: StoreMetrics,
    /// A group failed, and no write has been proven to work since. A group that changed nothing
    /// proves nothing: it commits on a full disk too.
    pub(super) is_failing: AtomicBool,
}

impl WriterStats {
    /// Counts into these metrics, which other writers may share.
    pub(crate) fn new(metrics: StoreMetrics) -> Self {
        Self { metrics, is_failing: AtomicBool::new(false) }
    }
}
