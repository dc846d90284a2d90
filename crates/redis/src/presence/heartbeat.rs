//! Says again and again that this node lives, and its users.

use std::sync::PoisonError;

use tokio::time::{Instant, sleep};

use super::{RedisPresence, signs};
use crate::link::LinkError;

/// Heartbeats sent at once.
const SIGNS_AT_ONCE: usize = 200;

impl RedisPresence {
    /// Renews the node's lease every third of it, and at once when Redis is back.
    pub(super) async fn run_lease(&self) {
        let mut changes = self.link.changes();
        loop {
            let mut pause = self.renewal_interval();
            if self.link.is_up() {
                self.notice_reopening();
                if let Err(error) = self.renew().await {
                    self.failed(&error, None);
                    pause /= 3;
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
        let mut vigil = self.vigil.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lost = if let Ok(renewal) = &renewal {
            vigil.renewed(*renewal, Instant::now())
        } else {
            vigil.failed();
            false
        };
        drop(vigil);
        if is_lost {
            self.lost(None);
        }
        renewal.map(drop)
    }

    pub(super) fn may_sweep(&self) -> bool {
        let vigil = self.vigil.lock().unwrap_or_else(PoisonError::into_inner);
        self.link.is_up() && vigil.may_sweep(Instant::now())
    }

    /// Writes every user's sign of life once per interval, a few at a time, spread over it.
    pub(super) async fn run_heartbeats(&self) {
        let interval = self.link.config().heartbeat_interval;
        loop {
            let users = self.roll.present();
            let n_chunks = users.len().div_ceil(SIGNS_AT_ONCE).max(1);
            for n in 0..n_chunks {
                sleep(interval / n_chunks as u32).await;
                let chunk = users.iter().skip(n * SIGNS_AT_ONCE).take(SIGNS_AT_ONCE);
                // Who has left since must not get one any more.
                let present: Vec<_> = chunk.filter(|user| self.roll.is_present(user)).cloned().collect();
                if self.link.is_up()
                    && let Err(error) = signs::write_all(&self.link, &present).await
                {
                    self.failed(&error, None);
                }
            }
        }
    }
}
