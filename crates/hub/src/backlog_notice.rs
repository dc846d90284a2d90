//! When what was kept for a user can no longer be overtaken.

use std::convert::Infallible;

use tokio::sync::oneshot;

/// Tells when newer events for the user can no longer overtake what was kept.
#[derive(Debug)]
pub struct BacklogNotice(pub(crate) Option<oneshot::Receiver<Infallible>>);

impl BacklogNotice {
    /// Waits for that moment, which no client can delay. Cancel safe.
    pub async fn taken(self) {
        if let Some(taken) = self.0 {
            // Nothing is ever sent: the delivery task lets go of the other end.
            let Err(_taken) = taken.await;
        }
    }
}
