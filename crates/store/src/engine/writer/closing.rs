//! When writers close: not before the store has written what it still has to.

use tokio::sync::watch;

/// Keeps writers open after the soft token, until it is dropped: for what the store itself has still to write.
#[derive(Debug)]
pub(crate) struct KeptOpen(#[expect(dead_code, reason = "what counts is when it is dropped")] watch::Sender<()>);

/// Tells writers when they close.
#[derive(Debug, Clone)]
pub(crate) struct Closing(watch::Receiver<()>);

/// What keeps writers open, and what tells them that it is gone.
pub(crate) fn kept_open() -> (KeptOpen, Closing) {
    let (open, closing) = watch::channel(());
    (KeptOpen(open), Closing(closing))
}

impl Closing {
    /// Waits until what kept the writers open is dropped. Cancel safe.
    pub(super) async fn closed(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}
