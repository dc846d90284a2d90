//! Whether an event for one user reached a connection of that user.
//!
//! A user who closes the last connection counts as connected until the server has read the close.
//! An event accepted in that moment finds nobody, and its publisher must know, to keep it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

/// Carried by the event through all shards; when the last of them lets go of it, the outcome is told.
#[derive(Debug)]
pub(crate) struct DeliveryReceipt {
    is_received: AtomicBool,
    outcome: Option<oneshot::Sender<bool>>,
}

impl DeliveryReceipt {
    pub(crate) fn new() -> (Self, oneshot::Receiver<bool>) {
        let (outcome, told) = oneshot::channel();
        (Self { is_received: AtomicBool::new(false), outcome: Some(outcome) }, told)
    }

    /// The event is with a connection that was there to take it, or its subscription left it out.
    pub(crate) fn received(&self) {
        self.is_received.store(true, Ordering::Relaxed);
    }
}

impl Drop for DeliveryReceipt {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome.take() {
            // A publisher that went away has nobody to keep it for.
            let _gone = outcome.send(*self.is_received.get_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_last_holder_tells() {
        for is_received in [true, false] {
            let (receipt, mut told) = DeliveryReceipt::new();
            let one = Arc::new(receipt);
            let shards = [Arc::clone(&one), one];
            if is_received {
                shards[0].received();
            }
            let [first, second] = shards;
            drop(first);
            assert!(told.try_recv().is_err(), "another shard may still meet the user");
            drop(second);
            assert_eq!(told.try_recv(), Ok(is_received));
        }
    }
}
