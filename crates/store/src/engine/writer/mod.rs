//! A writer: everybody's changes go through one connection, many in one transaction.
//!
//! Callers put jobs into a bounded queue. The writer takes everything that waits, runs it in one
//! transaction, commits once, and answers everybody. So sixty concurrent publishers pay for one
//! `fsync` together, and there is never a fight for SQLite's single write lock.

mod context;
pub(crate) mod group;
mod job;
mod stats;
mod task;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use diesel::QueryResult;
use hookswitch_hub::BoxFuture;
use hookswitch_runtime::Scope;
use tokio::sync::{mpsc, oneshot};

use super::dialect::{self, Conn};
use super::{Connector, queries};
use crate::error::Failure;
use crate::metrics::StoreMetrics;

pub(crate) use context::WriterContext;
pub(crate) use job::{Job, Merge};
pub(crate) use stats::WriterStats;
use task::WriterTask;

/// Hands work to the writer. Clones share the queue; the writer ends after the last one is gone.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Job>,
    wait: Duration,
    stats: Arc<WriterStats>,
}

impl Writer {
    /// Starts one that writes through `connector`, on `conn` as long as it works. `bounds`: so many
    /// calls may wait, and a caller waits so long for room. At the scope's soft token it serves what is
    /// queued and ends.
    pub(crate) fn start(
        connector: Connector,
        conn: Conn,
        context: Arc<WriterContext>,
        bounds: (usize, Duration),
        metrics: StoreMetrics,
        scope: &Scope,
    ) -> Self {
        let (queue, wait) = bounds;
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let stats = Arc::new(WriterStats::new(metrics));
        scope.spawn(
            "store writer",
            WriterTask::new(connector, conn, context, receiver, stats.clone()).run(scope.clone()),
        );
        Self { queue: sender, wait, stats }
    }

    /// Runs `work` in a transaction. It may run twice (when a neighbour spoilt the first one), so it
    /// keeps no state between runs. Once queued it runs even if the caller stops waiting.
    pub(crate) async fn call<T, F>(&self, work: F) -> Result<T, Failure>
    where
        F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
    {
        self.call_then(work, |_| ()).await
    }

    /// As [`Writer::call`], for a seam: a failure becomes the seam's error about `operation`.
    pub(crate) fn call_as<'a, T, E, F>(
        &'a self,
        error: fn(Failure, &'static str) -> E,
        operation: &'static str,
        work: F,
    ) -> BoxFuture<'a, Result<T, E>>
    where
        F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
        T: Send + 'static,
        E: 'static,
    {
        Box::pin(async move { self.call(work).await.map_err(|failure| error(failure, operation)) })
    }

    /// As [`Writer::call`]; `after` runs once the change is committed and before anybody is answered.
    pub(crate) async fn call_then<T, F, A>(&self, work: F, after: A) -> Result<T, Failure>
    where
        F: FnMut(&mut Conn) -> QueryResult<T> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Job::one(work, after, reply)).await?;
        answer.await.unwrap_or(Err(Failure::Stopped))
    }

    /// Runs work that the writer merges with its neighbours.
    pub(crate) async fn merge<I, T>(&self, input: I, kind: fn(Merge<I, T>) -> Job) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(kind(Merge { input, reply })).await?;
        answer.await.unwrap_or(Err(Failure::Stopped))
    }

    async fn send(&self, job: Job) -> Result<(), Failure> {
        match tokio::time::timeout(self.wait, self.queue.reserve()).await {
            Ok(Ok(room)) => {
                room.send(job);
                Ok(())
            }
            Ok(Err(_closed)) => Err(Failure::Stopped),
            Err(_elapsed) => Err(Failure::Overloaded),
        }
    }

    /// Whether writing works: the writer answers, and after a failure has written something again.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        self.call(|_| Ok(())).await?;
        if self.stats.is_failing.load(Ordering::Acquire) { Err(Failure::Unproven) } else { Ok(()) }
    }

    /// Calls that wait now.
    pub(crate) fn n_waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Whether both are one writer.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.queue.same_channel(&other.queue)
    }
}
