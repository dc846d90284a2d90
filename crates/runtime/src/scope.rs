//! Task scopes: every task has a name, a place in a tracker, and hears when to stop.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument as _;

/// A family of tasks that ends together, in two stages.
///
/// *Soft*: take no new work, finish what is running. *Hard*: end at once. A task that panics
/// trips the soft token, because a node with a dead organ must not look alive; see
/// [`Scope::crash`]. Clones are the same scope.
#[derive(Debug, Clone)]
pub struct Scope {
    name: &'static str,
    tracker: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
    crash: Arc<Mutex<Option<Crash>>>,
}

/// The first task of a scope that panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The task's name.
    pub task: &'static str,
}

impl Scope {
    /// A scope of its own, with fresh tokens.
    pub fn root(name: &'static str) -> Self {
        Self {
            name,
            tracker: TaskTracker::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            crash: Arc::default(),
        }
    }

    /// Cancelled when no new work should be taken.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when everything should end at once.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// The first task that panicked, if any.
    pub fn crash(&self) -> Option<Crash> {
        self.crash.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reports that an essential part outside any task panicked, and trips the soft token.
    pub fn report_crash(&self, task: &'static str) {
        let mut crash = self.crash.lock().unwrap_or_else(PoisonError::into_inner);
        crash.get_or_insert(Crash { task });
        tracing::error!(scope = self.name, task, "task panicked, shutting down");
        self.soft.cancel();
    }

    /// A guard for work that is no task of this scope, such as a thread: dropped by a panic, it
    /// reports the crash.
    pub fn crash_guard(&self, task: &'static str) -> CrashGuard {
        CrashGuard { scope: Some(self.clone()), task }
    }

    /// Starts an essential task. It ends by itself, or at the hard token at the latest. A panic in
    /// it trips the soft token.
    pub fn spawn<F>(&self, task: &'static str, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.start(&Handle::current(), task, self.crash_guard(task), future)
    }

    /// Starts a task whose panic concerns nobody else, such as one HTTP connection; the panic hook
    /// has already logged it.
    pub fn spawn_contained<F>(&self, task: &'static str, future: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_contained_on(&Handle::current(), task, future)
    }

    /// The same on another runtime than the present one.
    pub fn spawn_contained_on<F>(
        &self,
        runtime: &Handle,
        task: &'static str,
        future: F,
    ) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.start(runtime, task, CrashGuard { scope: None, task }, future)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    fn start<F>(
        &self,
        runtime: &Handle,
        task: &'static str,
        guard: CrashGuard,
        future: F,
    ) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let hard = self.hard.clone();
        // With no parent: a task that starts its successor would otherwise keep its own span, and that
        // of every task before it.
        let span = tracing::debug_span!(parent: None, "task", scope = self.name, task);
        let tracked = self.tracker.track_future(async move {
            let guard = guard;
            let ended = hard.run_until_cancelled(future).await;
            drop(guard);
            ended
        });
        runtime.spawn(tracked.instrument(span))
    }

    /// Begins work that is no task, unless the soft token is tripped. The scope does not end before the
    /// guard is dropped, or its grace is over.
    pub fn begin(&self) -> Option<WorkGuard> {
        // Before looking at the token: whoever trips it next waits for this.
        let guard = WorkGuard { _token: self.tracker.token() };
        (!self.soft.is_cancelled()).then_some(guard)
    }

    /// Trips the soft token and waits up to `grace` for all that was begun to end by itself; whether it
    /// did. Cancel safe; calling it again waits again.
    pub async fn finish(&self, grace: Duration) -> bool {
        self.soft.cancel();
        self.tracker.close();
        tokio::select! {
            // First, because a scope that has ended has also tripped its hard token.
            biased;
            () = self.tracker.wait() => true,
            () = self.hard.cancelled() => false,
            () = tokio::time::sleep(grace) => false,
        }
    }

    /// [`Scope::finish`], and then trips the hard token. Whether all ended by itself. Cancel safe; calling
    /// it again waits again.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        let ended = self.finish(grace).await;
        self.hard.cancel();
        self.tracker.wait().await;
        ended
    }
}

/// Work under way in a scope.
#[derive(Debug)]
#[must_use = "work whose guard is dropped is not waited for"]
pub struct WorkGuard {
    _token: TaskTrackerToken,
}

/// Notices a panic: dropped while unwinding, it reports the crash.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once sees no panic"]
pub struct CrashGuard {
    scope: Option<Scope>,
    task: &'static str,
}

impl Drop for CrashGuard {
    fn drop(&mut self) {
        if let Some(scope) = self.scope.as_ref().filter(|_| std::thread::panicking()) {
            scope.report_crash(self.task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_trips_the_soft_token_and_is_remembered() {
        let scope = Scope::root("test");
        scope.spawn("bad", async { panic!("on purpose") });
        scope.soft().cancelled().await;
        assert_eq!(scope.crash(), Some(Crash { task: "bad" }));
    }

    #[tokio::test]
    async fn a_panic_of_a_guarded_thread_trips_the_soft_token() {
        let scope = Scope::root("test");
        let guard = scope.crash_guard("bad");
        assert!(
            std::thread::spawn(move || {
                let _guard = guard;
                panic!("on purpose");
            })
            .join()
            .is_err()
        );
        assert!(scope.soft().is_cancelled());
        assert_eq!(scope.crash(), Some(Crash { task: "bad" }));
    }

    #[tokio::test]
    async fn a_contained_panic_trips_nothing() {
        let scope = Scope::root("test");
        let ended = scope.spawn_contained("bad", async { panic!("on purpose") }).await;
        assert!(ended.is_err_and(|e| e.is_panic()));
        assert!(!scope.soft().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_was_begun_is_waited_for_and_none_begins_later() {
        let scope = Scope::root("test");
        let guard = scope.begin().expect("it is open");
        assert!(!scope.finish(Duration::from_secs(5)).await, "it is under way");
        assert!(scope.begin().is_none());
        assert!(!scope.hard().is_cancelled());
        drop(guard);
        assert!(scope.finish(Duration::ZERO).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_listen_is_ended_after_the_grace() {
        let scope = Scope::root("test");
        let task = scope.spawn("deaf", std::future::pending::<()>());
        assert!(!scope.shut_down(Duration::from_secs(5)).await);
        assert!(matches!(task.await, Ok(None)));
    }
}
