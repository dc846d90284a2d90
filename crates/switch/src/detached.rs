//! Work that is finished even when nobody waits for it any more.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use hookswitch_runtime::Scope;

use crate::error::AcceptError;

/// Runs `work` to its end. What ends without waiting needs no task; what has to wait goes on in a
/// tracked task, so that a caller who goes away cannot leave half of it done.
pub(crate) async fn finish<T: Send + 'static>(
    scope: &Scope,
    task: &'static str,
    mut work: Pin<Box<dyn Future<Output = Result<T, AcceptError>> + Send>>,
) -> Result<T, AcceptError> {
    if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        return done;
    }
    match scope.spawn_contained(task, work).await {
        Ok(Some(done)) => done,
        // Ended by the hard token: how far it came is for the next start to find out.
        Ok(None) => Err(AcceptError::Stopping),
        Err(_panicked) => Err(AcceptError::Internal),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_the_caller_goes_away() {
        let scope = Scope::root("test");
        let (start, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let work = {
            let (start, done) = (Arc::clone(&start), Arc::clone(&done));
            Box::pin(async move {
                start.notified().await;
                done.notify_one();
                Ok(())
            })
        };
        let caller = tokio::time::timeout(Duration::from_millis(1), finish(&scope, "test", work));
        assert!(caller.await.is_err(), "the caller gives up");
        start.notify_one();
        tokio::time::timeout(Duration::from_secs(5), done.notified()).await.expect("the work went on");
    }

    #[tokio::test]
    async fn a_panic_and_a_shutdown_are_told_apart() {
        let scope = Scope::root("test");
        let panicking = Box::pin(async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        });
        assert!(matches!(finish::<()>(&scope, "test", panicking).await, Err(AcceptError::Internal)));
        scope.hard().cancel();
        let endless = Box::pin(std::future::pending());
        assert!(matches!(finish::<()>(&scope, "test", endless).await, Err(AcceptError::Stopping)));
    }
}
