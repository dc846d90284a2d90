//! Work that is finished even when nobody waits for it any more.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use hookswitch_runtime::Scope;
use tokio::runtime::Handle;

use crate::error::AcceptError;

/// Work that may be handed to a task.
type Work<T> = Pin<Box<dyn Future<Output = Result<T, AcceptError>> + Send>>;

/// Where work may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the runtime of whoever asks for it, which may be a shard's.
    Anywhere,
    /// On the switchboard's own runtime only. What a store opens, such as a connection, would end with
    /// the runtime it was opened on.
    Home,
}

/// Runs work to its end.
#[derive(Debug)]
pub(crate) struct DetachedRunner {
    scope: Scope,
    home: Handle,
}

impl DetachedRunner {
    /// At home on the present runtime; tasks are the scope's.
    pub(crate) fn new(scope: Scope) -> Self {
        Self { scope, home: Handle::current() }
    }

    /// What ends without waiting needs no task; what has to wait goes on in a tracked task, so that a
    /// caller who goes away cannot leave half of it done.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        place: Place,
        task: &'static str,
        mut work: Work<T>,
    ) -> Result<T, AcceptError> {
        // What was begun is waited for before connections close, whether or not it needs a task.
        let under_way = self.scope.begin().ok_or(AcceptError::Stopping)?;
        let here = Handle::try_current().ok();
        let is_home = here.as_ref().is_some_and(|here| here.id() == self.home.id());
        if (is_home || place == Place::Anywhere)
            && let Poll::Ready(done) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await
        {
            return done;
        }
        let runtime = here.as_ref().filter(|_| place == Place::Anywhere).unwrap_or(&self.home);
        let task = self.scope.spawn_contained_on(runtime, task, work);
        // The task is waited for by itself; who asked for it may be slow to look at the answer.
        drop(under_way);
        match task.await {
            Ok(Some(done)) => done,
            // Ended by the hard token: how far it came is for the next start to find out.
            Ok(None) => Err(AcceptError::Stopping),
            Err(_panicked) => Err(AcceptError::Internal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use tokio::runtime::{Builder, Id};
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
        let detached = DetachedRunner::new(scope);
        let caller = tokio::time::timeout(Duration::from_millis(1), detached.finish(Place::Home, "test", work));
        assert!(caller.await.is_err(), "the caller gives up");
        start.notify_one();
        tokio::time::timeout(Duration::from_secs(5), done.notified()).await.expect("the work went on");
    }

    /// Work that tells on which runtime it began and ended.
    fn places() -> Work<[Option<Id>; 2]> {
        let here = || Handle::try_current().ok().map(|here| here.id());
        Box::pin(async move {
            let before = here();
            tokio::task::yield_now().await;
            Ok([before, here()])
        })
    }

    #[test]
    fn work_for_home_is_done_nowhere_else() {
        let [home, shard] = [1, 2].map(|n| Builder::new_multi_thread().worker_threads(n).build().expect("a runtime"));
        let detached = home.block_on(async { DetachedRunner::new(Scope::root("test")) });
        let [at_home, beside] = [home.handle().id(), shard.handle().id()].map(Some);
        let done = |place| shard.block_on(detached.finish(place, "test", places())).expect("done");
        assert_eq!(done(Place::Home), [at_home; 2]);
        assert_eq!(done(Place::Anywhere), [beside; 2]);
        // A caller without a runtime.
        let mut context = Context::from_waker(Waker::noop());
        let mut work = std::pin::pin!(detached.finish(Place::Anywhere, "test", places()));
        let done = (0..1_000_000).find_map(|_| match work.as_mut().poll(&mut context) {
            Poll::Ready(done) => Some(done.expect("done")),
            Poll::Pending => {
                std::thread::yield_now();
                None
            }
        });
        assert_eq!(done, Some([None, at_home]));
    }

    #[tokio::test]
    async fn a_panic_and_a_shutdown_are_told_apart() {
        let scope = Scope::root("test");
        let panicking = Box::pin(async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        });
        let detached = DetachedRunner::new(scope.clone());
        let ended = detached.finish::<()>(Place::Home, "test", panicking).await;
        assert!(matches!(ended, Err(AcceptError::Internal)));
        scope.hard().cancel();
        let ended = detached.finish::<()>(Place::Home, "test", Box::pin(std::future::pending())).await;
        assert!(matches!(ended, Err(AcceptError::Stopping)));
    }
}
