//! Renews this node's own lease, which keeps those of its users alive.

use std::sync::PoisonError;

use tokio::time::{Instant, sleep};

use super::RedisPresence;
use crate::link::LinkError;

impl RedisPresence {
    /// Renews the node's lease in time, and at once when Redis is back.
    pub(super) async fn run_lease(&self) {
        let mut changes = self.link.changes();
        loop {
            let mut pause = self.node_lease().renewal_interval();
            if self.link.is_up() {
                self.notice_reopening();
                if let Err(error) = self.renew().await {
                    self.failed(&error, None);
                    pause = self.node_lease().retry_interval();
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    pub(super) async fn renew(&self) -> Result<(), LinkError> {
        let renewal = self.nodes.renew(&self.link).await;
        let mut monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = if let Ok(renewal) = &renewal {
            monitor.renewed(*renewal, Instant::now())
        } else {
            monitor.failed();
            false
        };
        drop(monitor);
        if is_lost {
            self.lost(None);
        }
        renewal.map(drop)
    }

    pub(super) fn may_sweep(&self) -> bool {
        let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        self.link.is_up() && monitor.may_sweep(Instant::now())
    }
}
